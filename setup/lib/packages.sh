# System packages from setup/packages.txt, by apt. Sourced by setup.sh.
# shellcheck shell=bash

# listed_packages SECTION…: one `name|alternative…` a line.
listed_packages() {
  awk -v wanted=" $* " '
    /^\[/ { match($0, /[a-z]+/); on = index(wanted, " " substr($0, RSTART, RLENGTH) " "); next }
    on && /^[a-z0-9]/ { print $1 }' "$here/packages.txt"
}

# missing_packages SECTION…: those of which no alternative is installed. One dpkg-query for all of
# them.
missing_packages() {
  local lines installed line name found
  mapfile -t lines < <(listed_packages "$@")
  # shellcheck disable=SC2086 # names are split on purpose
  installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' ${lines[*]//|/ } \
    2>/dev/null || true)"
  for line in "${lines[@]}"; do
    found=
    for name in ${line//|/ }; do
      [[ $installed == *" installed:$name "* ]] && found=1
    done
    [[ -n $found ]] || echo "$line"
  done
}

# first_known ALTERNATIVES: the first that apt can install.
first_known() {
  local name policy
  for name in ${1//|/ }; do
    policy=$(LC_ALL=C apt-cache policy "$name" 2>/dev/null)
    if [[ $policy == *'Candidate: '[^\(]* ]]; then
      echo "$name"
      return
    fi
  done
  return 1
}

# as_root COMMAND…: with sudo when we are not root. $sudo is set by install_packages.
as_root() { ${sudo[@]+"${sudo[@]}"} env DEBIAN_FRONTEND=noninteractive "$@"; }

# show_progress LABEL: apt's status lines become one percentage; on a terminal it stays on one line.
# Everything else apt and dpkg say goes to the log file in $1.
show_progress() {
  awk -v log_file="$1" -v tty="$([[ -t 2 ]] && echo 1)" -F: '
    function show(label, percent) {
      percent = int(percent)
      if (label == last_label && percent < last + (tty ? 1 : 25)) return
      last = percent; last_label = label
      printf tty ? "\r    %-12s %3d %%" : "    %s %d %%\n", label, percent > "/dev/stderr"
    }
    $1 == "dlstatus" { show("downloading", $3); next }
    $1 == "pmstatus" { show("installing", $3); next }
    { print > log_file; fflush(log_file) }
    END { if (tty) printf "\r%30s\r", "" > "/dev/stderr" }'
}

install_packages() {
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || {
    die "this is not Debian: setup needs apt" \
      "Install by hand what these Debian packages hold, then use cmake --preset release:" \
      "$(listed_packages "$@" | sed 's/|.*//' | tr '\n' ' ')" \
      "and ONNX Runtime $ort_version with its C++ headers; name its folder with BAOZI_ORT_ROOT."
  }
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [[ ${#missing[@]} -gt 0 ]] || return 0

  sudo=()
  if [[ $(id -u) -ne 0 ]]; then
    sudo=(sudo)
    [[ -t 0 ]] || sudo=(sudo -n)
  fi
  local by_hand="apt-get install --no-install-recommends" line
  for line in "${missing[@]}"; do by_hand+=" $(first_known "$line" || echo "${line%%|*}")"; done
  [[ -z ${BAOZI_NO_INSTALL-} ]] ||
    die "system packages are missing, and BAOZI_NO_INSTALL is set" "As root: $by_hand"
  if [[ ${#sudo[@]} -gt 0 ]] && ! command -v sudo >/dev/null; then
    die "system packages are missing, and you are neither root nor is there sudo" \
      "As root: $by_hand"
  fi
  if [[ ${#sudo[@]} -gt 0 && ! -t 0 ]] && ! sudo -n true 2>/dev/null; then
    die "system packages are missing, and sudo wants a password but there is no terminal" \
      "As root: $by_hand"
  fi

  local log=$cache/apt.log
  say "${#missing[@]} system packages are missing (setup/packages.txt says why each); asking apt"
  local patience=(-o Acquire::Retries=3 -o DPkg::Lock::Timeout=120)
  retry "apt-get update" as_root apt-get update -qq "${patience[@]}" ||
    die "apt-get update failed" "Is there a network, and are the sources of /etc/apt right?"

  local names=() name
  for line in "${missing[@]}"; do
    name=$(first_known "$line") ||
      die "apt knows no package ${line//|/ or }" \
        "Debian bookworm and trixie have it (section main). This is ${PRETTY_NAME:-$(os_name)}."
    names+=("$name")
  done
  say "installing with ${sudo[*]}${sudo[*]:+ }apt-get (no recommended packages): ${names[*]}"
  as_root apt-get install --assume-no --no-install-recommends "${names[@]}" 2>/dev/null |
    sed -n 's/^\(Need to get\|After this operation\)/    &/p' >&2 || true

  # The status goes to descriptor 3, opened behind sudo, which would close it.
  # shellcheck disable=SC2016
  if ! as_root sh -c 'exec apt-get "$@" 3>&1' sh install -y -q --no-install-recommends \
    -o APT::Status-Fd=3 -o Dpkg::Use-Pty=0 "${patience[@]}" "${names[@]}" 2>&1 </dev/null |
    show_progress "$log"; then
    grep -aE '^(E|W|dpkg): ?' "$log" | tail -8 >&2
    die "apt-get could not install the packages; the whole log is in $log" \
      "$(grep -qa -i 'no space left\|enough free space' "$log" && echo 'The disk is full.' ||
        echo "By hand, as root: apt-get install --no-install-recommends ${names[*]}")"
  fi
}

os_name() { (. /etc/os-release && echo "$PRETTY_NAME") 2>/dev/null || echo 'an unknown system'; }
