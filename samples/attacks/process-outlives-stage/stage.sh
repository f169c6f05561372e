# stage.sh FOLDER: put a good file there, and leave a process that rewrites it when the stage has ended.
echo good > "$1/product"
stage=$$
(
    trap '' HUP TERM
    # A process that ended and was not yet waited for has no `exe` any more.
    while readlink "/proc/$stage/exe" > /dev/null 2>&1; do sleep 0.1; done
    sleep 1
    while :; do echo EVIL > "$1/product"; done
) > /dev/null 2>&1 < /dev/null &
echo "the rewriter is process $!"
