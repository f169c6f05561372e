# Leave a good product, and a process that rewrites it as soon as the stage has ended.
echo good > "$OUT/product"
stage=$$
(
    trap '' HUP TERM
    # A process that ended and was not yet waited for has no `exe` any more.
    while readlink "/proc/$stage/exe" > /dev/null 2>&1; do :; done
    while :; do echo EVIL > "$OUT/product"; done
) > /dev/null 2>&1 < /dev/null &
echo "the rewriter is process $!"
