#!/bin/sh
# Makes the certificates beside this file, for tests alone: their keys are public. They hold for a hundred years, but for the one that is over.
set -e
cd "$(dirname "$0")"
config=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$config" "$work"' EXIT
cat > "$config" <<'CONFIG'
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
CONFIG

authority() { # FILE NAME
  openssl req -x509 -config "$config" -extensions authority -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$1.key" -out "$1.pem" -days 36500 -subj "/CN=$2" 2> /dev/null
}

certificate() { # FILE AUTHORITY SUBJECT SAN DAYS
  openssl req -new -config "$config" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$work/request" -subj "$3" 2> /dev/null
  printf 'subjectAltName=%s\nbasicConstraints=CA:false\n' "$4" > "$work/extensions"
  openssl x509 -req -in "$work/request" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -CAserial "$work/serial" -extfile "$work/extensions" \
    -days "$5" -out "$1.pem" 2> /dev/null
}

authority authority 'authority of tests'
authority stranger-authority 'another authority'
certificate broker authority '/CN=broker' 'DNS:localhost,IP:127.0.0.1' 36500
certificate broker-next authority '/CN=broker-next' 'DNS:localhost,IP:127.0.0.1' 36500
certificate anna authority '/CN=anna' 'email:anna@example.com' 36500
certificate bert authority '/CN=machine 7' 'DNS:bert.example.com,DNS:machine-7.example.com' 36500
certificate nobody authority '/CN=nobody' 'DNS:nobody.example.com' 36500
certificate stranger stranger-authority '/CN=anna' 'email:anna@example.com' 36500
certificate expired authority '/CN=anna' 'email:anna@example.com' -1
openssl ec -in broker.key -aes128 -passout pass:secret -out broker-locked.key 2> /dev/null
rm authority.key stranger-authority.key
