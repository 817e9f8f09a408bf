# Single packages of another Debian suite, unpacked into the cache and never installed. Sourced by
# setup.sh.
# shellcheck shell=bash

# debian_mirror: "URI KEYRING" of the main archive that this host's own apt uses, from deb822
# .sources files or from one-line lists.
debian_mirror() {
  local id codename files
  # shellcheck source=/dev/null
  read -r id codename < <(. /etc/os-release && echo "$ID ${VERSION_CODENAME-}")
  [[ $id == debian && -n $codename ]] || return 1
  shopt -s nullglob
  files=(/etc/apt/sources.list.d/*.sources)
  [[ ${#files[@]} -gt 0 ]] && mirror_of_sources "$codename" "${files[@]}" && return
  files=(/etc/apt/sources.list.d/*.list)
  [[ -e /etc/apt/sources.list ]] && files=(/etc/apt/sources.list "${files[@]}")
  [[ ${#files[@]} -gt 0 ]] && mirror_of_lists "$codename" "${files[@]}"
}

mirror_of_sources() {
  awk -v suite="$1" '
    function stanza_ends() {
      if (!done && !off && types ~ /(^| )deb( |$)/ && index(suites " ", " " suite " ")) {
        done = 1
        print uri, key
      }
      types = suites = uri = key = off = ""
    }
    FNR == 1 || /^[ \t]*$/ { stanza_ends() }
    { field = tolower($1) }
    field == "enabled:" { off = tolower($2) ~ /^(no|false|off|0)$/ }
    field == "types:" { $1 = ""; types = $0 }
    field == "suites:" { $1 = ""; suites = $0 }
    field == "uris:" { uri = $2 }
    field == "signed-by:" && $2 ~ /^\// { key = $2 }
    END { stanza_ends() }' "${@:2}" | grep .
}

mirror_of_lists() {
  awk -v suite="$1" '
    $1 == "deb" && !done {
      key = ""
      if (match($0, /signed-by=[^] ,]+/)) key = substr($0, RSTART + 10, RLENGTH - 10)
      sub(/\[[^]]*\] */, "")
      if ($3 == suite) { print $2, key; done = 1 }
    }' "${@:2}" | grep .
}

# debian_extra PIN_ARRAY: downloads the pinned package of that suite and unpacks it; the folder is
# in $extra. A temporary apt configuration beside the host's own keeps the other suite out of the
# system. apt checks the archive's signature with the host's Debian keys (bookworm's verify trixie
# and forky too), and the package's sha256 is checked against the pin besides. The Release file's
# expiry date is not looked at: it guards against being fed old packages, and an old package is
# what the pin asks for. Returns 1 when the suite no longer has that version.
debian_extra() {
  local -n pin=$1
  local arch mirror uri key digest options
  arch=$(dpkg --print-architecture)
  digest=${pin[$arch]-}
  [[ -n $digest ]] || return 1
  mirror=$(debian_mirror) || return 1
  read -r uri key <<<"$mirror"
  [[ -n $key ]] || key=/usr/share/keyrings/debian-archive-keyring.gpg

  say "fetching ${pin[package]} ${pin[version]} of Debian ${pin[suite]} (cached, not installed)"
  fresh_dir apt
  local dir=$new_dir
  mkdir -p "$dir"/{parts,lists/partial,archives/partial,deb,unpacked}
  printf '%s\n' 'Types: deb' "URIs: $uri" "Suites: ${pin[suite]}" 'Components: main' \
    "Signed-By: $key" >"$dir/parts/extra.sources"
  options=(-q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$dir/parts"
    -o "Dir::Cache=$dir" -o "Dir::State::lists=$dir/lists" -o Dir::State::status=/dev/null
    -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=
    -o Acquire::Retries=3 -o Dpkg::Use-Pty=0)
  retry "the package list of ${pin[suite]}" quietly apt-get "${options[@]}" update || return 1
  # apt-cache exits 0 for a version that is not there.
  local wanted=${pin[package]}=${pin[version]}
  [[ -n $(apt-cache "${options[@]}" show "$wanted" 2>/dev/null) ]] || return 1
  retry "downloading ${pin[package]}" quietly in_dir "$dir/deb" \
    apt-get "${options[@]}" download "$wanted" || return 1
  local file
  file=$(echo "$dir"/deb/*.deb)
  check_sha256 "$file" "$digest" "${pin[package]} ${pin[version]}"
  dpkg -x "$file" "$dir/unpacked"
  extra=$dir/unpacked
}

in_dir() { (cd "$1" && "${@:2}"); }

# quietly COMMAND…: its output is shown only when it fails. apt-get update exits 0 when it could
# not reach a source.
quietly() {
  local output
  local unreached='^(E|W): .*(Failed to fetch|not signed|Some index files)'
  if output=$("$@" 2>&1) && ! grep -qE "$unreached" <<<"$output"; then
    return 0
  fi
  echo "$output"
  return 1
}

setup_taskflow() {
  local target=$cache/taskflow wanted="${taskflow_deb[version]}"
  [[ -e $target/.stamp && $(<"$target/.stamp") == "$wanted" ]] && return 0
  debian_extra taskflow_deb ||
    die "could not get Taskflow ${wanted} from Debian ${taskflow_deb[suite]}" \
      "Put its headers into $target/include (include/taskflow/taskflow.hpp) by hand."
  fresh_dir taskflow
  mv "$extra/usr/include" "$new_dir/include"
  echo "$wanted" >"$new_dir/.stamp"
  put "$new_dir" "$target"
}
