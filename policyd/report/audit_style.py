"""How the audit page looks: light and dark, screen and paper, without script or anything from elsewhere."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --line: #e3e3df; --text: #23262b; --soft: #5b6069;
  --link: #1d4f91; --met: #1b6b3a; --met-back: #e5f2e9; --not-met: #a3242b; --not-met-back: #fbe9e9;
  --waived: #7a5200; --waived-back: #fbf1dc; --not-tested: #4f5661; --not-tested-back: #eceef1;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #16181c; --card: #1d2025; --line: #33373e; --text: #e4e6ea; --soft: #a2a8b3;
    --link: #9cc3f5; --met: #8bd3a4; --met-back: #1a3224; --not-met: #f4a3a6; --not-met-back: #3d2022;
    --waived: #ecc677; --waived-back: #382d16; --not-tested: #bcc2cc; --not-tested-back: #2b2f36;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
}
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 3rem; }
h1 { font-size: 1.9rem; font-weight: 650; letter-spacing: -0.015em; line-height: 1.2; margin: 0 0 0.4rem; }
h2 { font-size: 1.3rem; font-weight: 620; letter-spacing: -0.01em; margin: 3.2rem 0 0.3rem; }
h3 { font-size: 1rem; font-weight: 620; margin: 0; }
p { margin: 0.3rem 0; }
a { color: var(--link); text-underline-offset: 0.15em; text-decoration-thickness: 1px; }
a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 2px; }
code { font: 0.86em/1.5 ui-monospace, "SF Mono", "Cascadia Mono", "Liberation Mono", monospace; }
code, td, li, dd, p { overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.notice {
  border-left: 3px solid var(--waived); background: var(--waived-back); padding: 0.6rem 1rem; margin: 1.2rem 0 0;
  border-radius: 0 6px 6px 0;
}
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1.2rem; margin: 1.2rem 0 0; }
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem; margin: 2rem 0 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.1rem 1.3rem 1.2rem; }
.card svg { display: block; width: 100%; height: 10px; margin: 0.9rem 0 0.8rem; }
.bar-met { fill: var(--met); } .bar-not_met { fill: var(--not-met); }
.bar-waived { fill: var(--waived); } .bar-not_tested { fill: var(--not-tested); opacity: 0.45; }
ul.counts { display: flex; flex-wrap: wrap; gap: 0.1rem 1.1rem; list-style: none; margin: 0; padding: 0; }
ul.counts li { color: var(--soft); }
ul.counts b { color: var(--text); font-variant-numeric: tabular-nums; }
table { width: 100%; border-collapse: collapse; margin: 1rem 0 0; background: var(--card); }
.framed { border: 1px solid var(--line); border-radius: 10px; overflow: hidden; margin: 1rem 0 0; }
.framed table { margin: 0; }
th, td { text-align: left; vertical-align: top; padding: 0.85rem 1rem; border-top: 1px solid var(--line); }
thead th {
  border-top: 0; padding: 0.55rem 1rem; font-size: 0.8rem; font-weight: 560; color: var(--soft);
}
tbody th { font-weight: 400; }
table.controls { table-layout: fixed; }
table.controls .status { width: 8.6rem; } table.controls .control { width: 36%; }
.id { display: block; color: var(--soft); font-size: 0.82rem; }
.title { font-weight: 600; }
.title a { color: inherit; text-decoration-color: var(--line); }
.title a:hover { text-decoration-color: currentColor; }
.controls th p, .controls li { font-size: 0.94rem; }
.controls th p { color: var(--soft); }
.badge {
  display: inline-block; white-space: nowrap; border-radius: 999px; padding: 0.1rem 0.7rem 0.1rem 0.55rem;
  font-size: 0.86rem; font-weight: 600;
}
.badge-met { color: var(--met); background: var(--met-back); }
.badge-not_met { color: var(--not-met); background: var(--not-met-back); }
.badge-waived { color: var(--waived); background: var(--waived-back); }
.badge-not_tested { color: var(--not-tested); background: var(--not-tested-back); }
td ul { margin: 0; padding: 0 0 0 1.05rem; }
td li { margin: 0 0 0.25rem; }
td p.label { font-size: 0.8rem; font-weight: 560; color: var(--soft); margin: 0.7rem 0 0.15rem; }
td p.label:first-child { margin-top: 0; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
footer { padding-top: 1rem; padding-bottom: 4rem; }
footer dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.5rem 1.2rem; margin: 1rem 0 0; }
footer dd { margin: 0; }
@media (max-width: 44rem) {
  table, tbody, tr, th, td { display: block; width: auto; }
  thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  table.controls .status, table.controls .control { width: auto; }
  th, td { border-top: 0; padding: 0.35rem 1rem; }
  tbody tr { border-top: 1px solid var(--line); padding: 0.6rem 0; }
  tbody tr:first-child { border-top: 0; }
}
@media print {
  :root {
    color-scheme: light; --page: #fff; --card: #fff; --line: #ccc; --text: #000; --soft: #444; --link: #000;
    --met: #1b6b3a; --met-back: #fff; --not-met: #a3242b; --not-met-back: #fff;
    --waived: #7a5200; --waived-back: #fff; --not-tested: #4f5661; --not-tested-back: #fff;
  }
  body { font-size: 10pt; }
  header, main, footer { max-width: none; padding-left: 0; padding-right: 0; }
  header { padding-top: 0; }
  .card, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  .bar-met, .bar-not_met, .bar-waived, .bar-not_tested { print-color-adjust: exact; }
  .badge { padding: 0; }
}
"""
