#!/bin/sh
# Builds the three programs with clang (Debian: apt-get install clang libbpf-dev): ./build.sh [FOLDER]
set -eu
cd "$(dirname "$0")"
out=${1:-build}
mkdir -p "$out"
for name in firewall balancer drops; do
  clang -O2 -g -Wall -target bpf -mcpu=v3 -idirafter "/usr/include/$(uname -m)-linux-gnu" -c "$name.c" -o "$out/$name.o"
done
