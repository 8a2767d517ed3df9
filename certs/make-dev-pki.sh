#!/bin/sh
# Makes a TLS CA, a leaf certificate and a revocation list for one authority, with openssl: what a CA outside rogatory has to
# deliver. For development and as a recipe; README.md in this folder says what goes where.
#
#   certs/make-dev-pki.sh AUTHORITY-ID OUT-DIR
#   certs/make-dev-pki.sh --renew OUT-DIR          a new leaf certificate (same key) and a new revocation list
#   certs/make-dev-pki.sh --revoke SERIAL OUT-DIR  a new revocation list with this certificate (serial in hex) on it
#
# DAYS_CA, DAYS_LEAF and DAYS_CRL change the lifetimes (3650, 90, 30).
set -eu
umask 077

usage() {
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

days_ca=${DAYS_CA:-3650}
days_leaf=${DAYS_LEAF:-90}
days_crl=${DAYS_CRL:-30}

settings() {
    cat >"$out/ca/openssl.cnf" <<SETTINGS
[ req ]
distinguished_name = name
prompt = no
[ name ]
[ ca ]
default_ca = own
[ own ]
dir = $out/ca
database = $out/ca/index.txt
new_certs_dir = $out/ca/issued
serial = $out/ca/serial
crlnumber = $out/ca/crlnumber
certificate = $out/ca/tls-ca.pem
private_key = $out/ca/tls-ca.key
default_md = sha256
unique_subject = no
policy = any
[ any ]
commonName = supplied
[ authority ]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
nameConstraints = critical, permitted;DNS:$id
[ leaf ]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:$id
[ list ]
authorityKeyIdentifier = keyid
SETTINGS
}

# A common name has at most 64 characters; peers read the subjectAltName.
common_name() {
    printf '%.64s' "$1"
}

make_ca() {
    mkdir "$out/ca" "$out/ca/issued" "$out/for-init"
    printf '%s\n' "$id" >"$out/ca/id"
    : >"$out/ca/index.txt"
    echo 01 >"$out/ca/crlnumber"
    settings
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$out/ca/tls-ca.key" 2>/dev/null
    openssl req -x509 -new -config "$out/ca/openssl.cnf" -extensions authority -sha256 -days "$days_ca" \
        -subj "/CN=$(common_name "TLS CA of $id")" -key "$out/ca/tls-ca.key" -out "$out/ca/tls-ca.pem"
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$out/for-init/tls.key" 2>/dev/null
    cp "$out/ca/tls-ca.pem" "$out/for-init/tls-ca.pem"
}

issue() {
    openssl rand -hex 15 | sed 's/^/4a/' >"$out/ca/serial"
    openssl req -new -config "$out/ca/openssl.cnf" -sha256 -subj "/CN=$(common_name "$id")" \
        -key "$out/for-init/tls.key" -out "$out/ca/leaf.csr"
    openssl ca -batch -notext -config "$out/ca/openssl.cnf" -extensions leaf -days "$days_leaf" \
        -in "$out/ca/leaf.csr" -out "$out/for-init/tls.pem" 2>/dev/null
}

list() {
    openssl ca -gencrl -config "$out/ca/openssl.cnf" -crlexts list -crldays "$days_crl" -out "$out/ca/tls-ca.crl.pem" 2>/dev/null
    openssl crl -in "$out/ca/tls-ca.crl.pem" -outform DER -out "$out/for-init/tls-ca.crl"
}

verify() {
    openssl verify -CAfile "$out/ca/tls-ca.pem" -CRLfile "$out/ca/tls-ca.crl.pem" -crl_check "$out/for-init/tls.pem" >/dev/null
}

existing() {
    out=$(cd "$1" && pwd)
    id=$(cat "$out/ca/id")
    settings
}

case "${1-}" in
--renew)
    [ $# -eq 2 ] || usage
    existing "$2"
    issue
    list
    verify
    ;;
--revoke)
    [ $# -eq 3 ] || usage
    existing "$3"
    serial=$(printf '%s' "$2" | tr -d ':' | tr 'a-f' 'A-F')
    openssl ca -config "$out/ca/openssl.cnf" -revoke "$out/ca/issued/$serial.pem" 2>/dev/null
    list
    ;;
-* | '')
    usage
    ;;
*)
    [ $# -eq 2 ] || usage
    id=$1
    [ ! -e "$2" ] || {
        echo "$2 exists already and is not overwritten" >&2
        exit 2
    }
    mkdir -p "$2"
    out=$(cd "$2" && pwd)
    make_ca
    issue
    list
    verify
    ;;
esac
echo "for rogatory init --pki, or to replace what it made: $out/for-init"
