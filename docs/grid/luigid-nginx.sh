#!/usr/bin/env bash
# Makes what nginx needs to stand before a luigid, with TLS and a password: an authority
# (ca.pem), a certificate for HOST, the file of users, and nginx.conf.
#
#   luigid-nginx.sh FOLDER HOST PORT USER < file-with-the-password
#   luigid --unix-socket FOLDER/luigid.socket &
#   nginx -p FOLDER -c nginx.conf
#
# Nobody else can use the socket, as the folder is closed to others: run both as the
# same ordinary user.
set -euo pipefail
umask 077

host=$2 port=$3 user=$4
mkdir -p "$1"
cd "$1"
password=$(openssl passwd -apr1 -stdin)
echo "$user:$password" >users

key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
if [ ! -e ca.pem ]; then
  openssl req -x509 "${key[@]}" -days 3650 -subj "/CN=luigid of $USER" \
    -keyout ca.key -out ca.pem
fi
kind=DNS
[[ $host =~ ^[0-9.]+$ || $host == *:* ]] && kind=IP
openssl req "${key[@]}" -subj "/CN=luigid" -addext "subjectAltName=$kind:$host" \
  -keyout host.key -out host.csr
openssl x509 -req -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 \
  -copy_extensions copy -out host.pem

cat >nginx.conf <<END
pid $PWD/nginx.pid;
error_log $PWD/error.log;
events {}
http {
  access_log off;
  client_body_temp_path $PWD/tmp;
  proxy_temp_path $PWD/tmp;
  fastcgi_temp_path $PWD/tmp;
  uwsgi_temp_path $PWD/tmp;
  scgi_temp_path $PWD/tmp;
  server {
    listen $port ssl;
    ssl_certificate $PWD/host.pem;
    ssl_certificate_key $PWD/host.key;
    auth_basic luigid;
    auth_basic_user_file $PWD/users;
    client_max_body_size 64m;
    location / {
      proxy_pass http://unix:$PWD/luigid.socket;
    }
  }
}
END
