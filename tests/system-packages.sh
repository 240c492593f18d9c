#!/bin/sh
# What the tests need from the system: a Chromium, an EGL library, an X server without a screen, a clock that jumps, and
# a PostgreSQL; with the word `long` a Firefox and an nginx as well,
# and what builds images and runs them.
# Installs them when it may, else says what to install.
set -eu
missing=""
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
if ! ldconfig -p 2>/dev/null | grep -q 'libEGL\.so\.1'; then missing="$missing libegl1 libegl-mesa0 libgl1-mesa-dri"; fi
command -v Xvfb >/dev/null 2>&1 || missing="$missing xvfb"
if ! ldconfig -p 2>/dev/null | grep -q 'libGL\.so\.1'; then missing="$missing libgl1 libglx-mesa0 libgl1-mesa-dri"; fi
find /usr/lib /usr/lib64 /usr/local/lib -path "*/faketime/libfaketime.so.1" 2>/dev/null | grep -q . || missing="$missing libfaketime"
command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
if [ "${1:-}" = long ]; then
  command -v firefox-esr >/dev/null 2>&1 || command -v firefox >/dev/null 2>&1 || missing="$missing firefox-esr"
  command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
  for program in podman runc fuse-overlayfs debootstrap iptables; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
  done
  # podman's networks and their names; they are in no folder of the PATH.
  for helper in netavark aardvark-dns; do
    [ -e "/usr/lib/podman/$helper" ] || [ -e "/usr/libexec/podman/$helper" ] || missing="$missing $helper"
  done
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing$missing …" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
  exit 0
fi
echo "The tests need these packages:$missing (Debian's names; Fedora: chromium mesa-libEGL mesa-libGL xorg-x11-server-Xvfb libfaketime postgresql-server). Install them and run make test again." >&2
exit 1
