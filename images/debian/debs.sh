# Which Debian packages go into the image, pinned by content. To be sourced
# after lib.sh; $layers are the folders of images/ whose lists `packages` count,
# the last of them the image's own.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

package_names() {
  local layer
  for layer in $layers; do words "$images/$layer/packages"; done
}

# debs SUITE [--refresh]: prints the directory with all packages and `list`,
# their SHA-256 sums. It is made once and then kept, so that a warm build asks
# nobody; --refresh asks the mirror again.
debs() {
  local folder="$cache/debs/$1"
  [ "$layers" = debian ] || folder="$cache/debs/${layers##* }-$1"
  if [ ! -s "$folder/list" ] || [ "${2:-}" = --refresh ]; then
    locked debs fetch_debs "$1" "$folder" "${2:-}" >&2
  fi
  echo "$folder"
}

# sources SUITE: this machine's own Debian mirrors, for that suite; apt checks
# what they say against Debian's keys.
sources() {
  local found
  found=$(sh "$images/../deploy/mirrors.sh" | awk -v suite="$1" -v keyring="$keyring" '{
      sub(/^[^-]*/, "", $1)
      if ($1 ~ /^(-updates|-security)?$/) print "deb [signed-by=" keyring "] " $2 " " suite $1 " main"
    }' | sort -u)
  [ -n "$found" ] || die "no Debian mirror is configured; looked in apt's sources"
  echo "$found"
}

# fetch_debs SUITE FOLDER [--refresh]: an apt of its own, which knows nothing of
# this machine's packages but its mirrors and proxies.
fetch_debs() {
  local suite=$1 folder=$2 apt temp
  [ ! -s "$folder/list" ] || [ "${3:-}" = --refresh ] || return 0
  need apt-get=apt sha256sum=coreutils
  [ -e "$keyring" ] || die "$keyring is missing; install the package debian-archive-keyring"
  mkdir -p "$cache/debs"
  temp=$(mktemp -d "$cache/debs/.new.XXXXXX")
  mkdir -p "$temp"/{state/lists/partial,debs/partial}
  : >"$temp/status"
  sources "$suite" >"$temp/sources.list"
  cat >"$temp/apt.conf" <<CONF
#clear APT::Update;
#clear DPkg;
Dir::State "$temp/state";
Dir::State::status "$temp/status";
Dir::Cache "$temp";
Dir::Cache::archives "$temp/debs";
Dir::Etc::sourcelist "$temp/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
#clear APT::Architectures;
APT::Install-Recommends "false";
APT::Sandbox::User "root";
CONF
  apt="apt-get -q -y -c $temp/apt.conf"
  say "asking the mirror for the packages of $suite"
  { $apt update && $apt --download-only install '?essential' $(package_names); } >"$temp/apt.log" 2>&1 ||
    { tail -n 20 "$temp/apt.log" >&2; die "apt could not fetch the packages of Debian $suite"; }
  rm -rf "$temp/debs"/{partial,lock}
  ( cd "$temp/debs" && sha256sum -- *.deb >list )
  rm -rf "$folder"
  mv "$temp/debs" "$folder"
  rm -rf "$temp"
}

# make_repository FOLDER OUT: a repository of just these packages, whose sums
# are checked once more.
make_repository() {
  local folder=$1 out=$2 suite=$3 sum deb
  mkdir -p "$out"
  ( cd "$folder" && sha256sum --quiet --check list >&2 ) ||
    die "the packages in $folder are not those that apt fetched; build with --refresh"
  while read -r sum deb; do
    cp --reflink=auto "$folder/$deb" "$out/$deb"
    dpkg-deb --field "$out/$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(bytes "$out/$deb")" "$sum"
  done <"$folder/list" >"$out/Packages"
  cat >"$out/Release" <<RELEASE
Origin: Remuda
Suite: $suite
Codename: $suite
Architectures: amd64
Date: $(date -Ru -d "@$SOURCE_DATE_EPOCH")
SHA256:
 $(digest "$out/Packages") $(bytes "$out/Packages") Packages
RELEASE
}
