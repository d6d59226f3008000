# Sourced by scripts that run commands in folders of Debian releases, build/debian/…, which
# debootstrap fills. For root. Mounts and processes are in namespaces of their own and end
# with the command. DEBIAN_MIRROR names another mirror.
# shellcheck shell=bash disable=SC2154 # common.sh comes first

[ "$(id -u)" -eq 0 ] || die "debootstrap and chroot want root"
for program in debootstrap git ip unshare; do
    command -v $program > /dev/null || die "no $program here" "apt-get install debootstrap git iproute2 util-linux"
done

# make_folder SUITE ROOT: a minimal Debian with its security updates, unless it is there.
make_folder() {
    local suite=$1 root=$2 mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
    mkdir -p "${root%/*}"
    # A fresh folder is complete or not there.
    if [ ! -d "$root" ]; then
        say debootstrap "$suite, into $root"
        rm -rf "$root.new"
        debootstrap --variant=minbase "$suite" "$root.new" "$mirror" > "$root.log" 2>&1 ||
            die "debootstrap failed; the end of $root.log:" "$(tail -n 5 "$root.log")"
        mv "$root.new" "$root"
    fi
    [ "$suite" = sid ] ||
        echo "deb $mirror-security $suite-security main" > "$root/etc/apt/sources.list.d/security.list"
}

# connect_folder ROOT: how this machine reaches the network is how the folder does: names,
# proxies, and authorities of its own. Proxies in the environment go along by themselves.
connect_folder() {
    local root=$1 file
    install -m 0644 /etc/resolv.conf /etc/hosts "$root/etc/"
    # A package's file would be in that package's way.
    for file in /etc/apt/apt.conf.d/*; do
        if [ -f "$file" ] && grep -qi '^ *Acquire' "$file" && ! dpkg -S "$file" > /dev/null 2>&1; then
            install -m 0644 "$file" "$root/etc/apt/apt.conf.d/"
        fi
    done
    mkdir -p "$root/usr/local/share/ca-certificates"
    find /usr/local/share/ca-certificates -name '*.crt' \
        -exec install -m 0644 -t "$root/usr/local/share/ca-certificates" {} +
}

# copy_checkout ROOT [keep]: the last commit, to /src/oauth_tokens; what was built there
# before goes, or stays.
copy_checkout() {
    local copy=$1/src/oauth_tokens
    if [ -d "$copy" ]; then
        git -C "$copy" fetch -q "$checkout" HEAD
        git -C "$copy" reset -q --hard FETCH_HEAD
        if [ "${2:-}" = keep ]; then git -C "$copy" clean -qfd; else git -C "$copy" clean -qffdx; fi
    else
        git clone -q --no-hardlinks "$checkout" "$copy"
    fi
}

# in_folder ROOT COMMAND…: runs each in a shell of the folder, and fails if one fails.
# IN_FOLDER has more options of unshare, such as --net.
in_folder() {
    local root=$1
    shift
    # shellcheck disable=SC2016,SC2086 # the inner shells expand these; options are words
    unshare --mount --pid --fork --kill-child ${IN_FOLDER:-} -- bash -euc '
        root=$1
        shift
        ip link set lo up
        mount --make-rprivate /
        mount --rbind /dev "$root/dev"
        mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
        mount -t proc proc "$root/proc"
        mount -t sysfs -o ro sysfs "$root/sys"
        status=0
        for command; do
            chroot "$root" sh -c "
                export HOME=/root LC_ALL=C.UTF-8
                export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
                $command" || status=1
        done
        exit "$status"
    ' - "$root" "$@"
}
