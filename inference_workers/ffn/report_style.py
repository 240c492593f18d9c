"""How the reports of evaluations and sweeps look: calm, in both themes, and on paper.  Pure."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--page:#f3f5f8;--panel:#fff;--line:#dce3ec;--text:#142031;--quiet:#55647a;
--strong:#0a5c8c;--soft:#cfe0ee;--aside:#e7e3da;--track:#eaeff5;--pale:#fafbfd}
@media (prefers-color-scheme:dark){:root{--page:#0e1520;--panel:#141d2b;--line:#28364b;--text:#e8eef7;
--quiet:#a3b4ca;--strong:#7cc9f2;--soft:#2b4560;--aside:#2a2a2c;--track:#1d2939;--pale:#0f1825}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans","DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1040px;margin:0 auto;padding:32px 24px 48px}
h1{font-size:26px;margin:0 0 12px;letter-spacing:-.01em}h2{font-size:18px;margin:0 0 4px}
h3{font-size:14px;margin:18px 0 8px;font-weight:600}
.sides{display:grid;grid-template-columns:auto 1fr;gap:2px 14px;margin:0 0 16px}
.sides dt,.said,small,footer{color:var(--quiet)}.sides dd{margin:0;overflow-wrap:anywhere}
.said{margin:0 0 12px;font-size:14px}small{font-size:12.5px}
.note{background:var(--soft);border-radius:8px;padding:8px 14px;margin:0 0 12px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:12px;margin:16px 0}
.figures>div,section,details{background:var(--panel);border:1px solid var(--line);border-radius:12px}
.figures>div{padding:12px 16px;display:flex;flex-direction:column}
.figures span{font-size:13px;color:var(--quiet)}.figures strong{font-size:27px;font-weight:650;line-height:1.3}
.bar{display:block;height:5px;background:var(--track);border-radius:3px;overflow:hidden;margin:3px 0 4px}
.bar b{display:block;height:100%;background:var(--strong)}
section{padding:20px 24px;margin:16px 0}details{padding:12px 24px;margin:10px 0}
summary{cursor:pointer;font-weight:600}.wide{overflow-x:auto}
.balance{display:flex;height:22px;border-radius:6px;overflow:hidden;margin-top:8px;gap:2px}
.keys{list-style:none;display:flex;flex-wrap:wrap;gap:4px 22px;padding:0;margin:12px 0 0;font-size:13.5px}
.keys i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:7px;vertical-align:-1px}
.keys .line{height:3px;background:var(--strong);vertical-align:4px;width:18px}.keys .box{background:var(--soft)}
.keys .blank{background:var(--aside);border:1px solid var(--line)}
svg{width:100%;height:auto;display:block}svg text{fill:var(--quiet);font-size:12px}
.grid{stroke:var(--line);stroke-width:1}.voxels{fill:none;stroke:var(--strong);stroke-width:2;stroke-linejoin:round}
rect.objects{fill:var(--soft)}rect.aside{fill:var(--aside);opacity:.7}
.regions{display:grid;grid-template-columns:minmax(120px,auto) 1fr;gap:12px 20px;margin:0}
.regions dt{font-weight:600}.regions dt small{display:block;font-weight:400}.regions dd{margin:0}
.track{position:relative;background:var(--track);border-radius:5px;height:21px;margin-bottom:3px;overflow:hidden}
.track b{position:absolute;inset:0 auto 0 0;background:var(--soft)}.track b.voxels{background:var(--strong);opacity:.55}
.track span{position:relative;padding-left:9px;font-size:12.5px;line-height:21px}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(250px,1fr));gap:12px}
figure{margin:0}figcaption{font-size:12.5px;color:var(--quiet);margin-top:3px}
img{display:block;width:100%;image-rendering:pixelated;background:var(--pale);border:1px solid var(--line);
border-radius:4px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(215px,1fr));gap:16px}
article{border:1px solid var(--line);border-radius:10px;padding:12px}
article h3{display:flex;justify-content:space-between;margin:10px 0 4px;gap:8px}
article h3 span{background:var(--soft);border-radius:10px;padding:0 9px;font-weight:500;white-space:nowrap}
article ul{list-style:none;padding:0;margin:0 0 4px;font-size:13px}
.frame{height:150px;display:flex;justify-content:center;background:var(--pale);border-radius:4px}
.frame img{width:auto;height:auto;min-height:0;max-width:100%;max-height:150px;flex:0 1 auto;border:0}
.frame img[style]{height:150px;object-fit:contain}
table{border-collapse:collapse;width:100%}th,td{padding:5px 12px 5px 0;text-align:left;vertical-align:top}
tr+tr{border-top:1px solid var(--line)}td:nth-child(2){font-weight:600}
.dense{font-size:13px}.dense th,.dense td{padding:4px 12px 4px 0;font-weight:400}
.dense tr:first-child th{font-weight:600}
.dense th:first-child{white-space:nowrap}
footer{font-size:13px;margin-top:24px}
@media print{body{background:none}section,details,article{break-inside:avoid}}
"""
