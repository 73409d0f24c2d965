#!/usr/bin/env bash
# packages.sh GROUP...: install what tools/packages.txt lists for these groups and is not there yet.
source "$(dirname "$0")/common.sh"

has() {
  case $1 in
    command) command -v "$2" >/dev/null ;;
    header) echo "#include <$2>" | c++ -std=c++20 -E -x c++ -o /dev/null - 2>/dev/null ;;
    python) "$python" -c "import os, sys, sysconfig; sys.exit(not ($2))" 2>/dev/null ;;
  esac
}

missing=()
while read -r group name kind what; do
  [[ $group == \#* || -z $group || " $* " != *" $group "* ]] && continue
  has "$kind" "$what" || missing+=("$name")
done <tools/packages.txt
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  printf 'monge needs these packages (Debian names), and apt-get is not here to install them:\n' >&2
  printf '  %s\n' "${missing[@]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    printf 'monge needs these packages; install them as root, then run this again:\n' >&2
    printf '  apt-get install %s\n' "${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
say "apt packages: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
