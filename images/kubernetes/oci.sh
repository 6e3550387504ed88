# A container image of single programs, FROM nothing, in the layout that
# `ctr images import` reads. To be sourced after lib.sh; $work is a folder of the
# caller's.

# archive FOLDER OUT: the same bytes on any day.
archive() {
  tar --create --file="$2" --directory="$1" --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" \
    --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX $(ls "$1")
}

# blob FILE: into the layout, under its digest; prints digest and size as a
# descriptor has them (OCI image spec, descriptor.md).
blob() {
  local sum
  sum=$(digest "$1")
  mv "$1" "$work/oci/blobs/sha256/$sum"
  printf '"digest":"sha256:%s","size":%s' "$sum" "$(bytes "$work/oci/blobs/sha256/$sum")"
}

# oci NAME OUT.tar ENTRYPOINT FILE=PATH...: beside it OUT.manifest is written, the
# digest of the manifest, for who asks whether the image is there.
oci() {
  local name=$1 out=$2 entry=$3 pair layer config manifest type=application/vnd.oci.image
  shift 3
  rm -rf "$work/oci" "$work/oci-root"
  mkdir -p "$work/oci/blobs/sha256" "$work/oci-root"
  for pair; do install -D -m 755 "${pair%%=*}" "$work/oci-root${pair#*=}"; done
  archive "$work/oci-root" "$work/oci/layer"
  local diff; diff=sha256:$(digest "$work/oci/layer")
  layer=$(blob "$work/oci/layer")
  printf '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/local/bin:/usr/bin:/bin"],"Entrypoint":["%s"]},"rootfs":{"type":"layers","diff_ids":["%s"]}}' \
    "$entry" "$diff" >"$work/oci/config"
  config=$(blob "$work/oci/config")
  printf '{"schemaVersion":2,"mediaType":"%s.manifest.v1+json","config":{"mediaType":"%s.config.v1+json",%s},"layers":[{"mediaType":"%s.layer.v1.tar",%s}]}' \
    $type $type "$config" $type "$layer" >"$work/oci/manifest"
  manifest=$(blob "$work/oci/manifest")
  printf '{"schemaVersion":2,"manifests":[{"mediaType":"%s.manifest.v1+json",%s,"annotations":{"io.containerd.image.name":"%s"}}]}' \
    $type "$manifest" "$name" >"$work/oci/index.json"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$work/oci/oci-layout"
  archive "$work/oci" "$out"
  sed 's/.*sha256:\([0-9a-f]*\).*/\1/' <<<"$manifest" >"${out%.tar}.manifest"
  rm -rf "$work/oci" "$work/oci-root"
}
