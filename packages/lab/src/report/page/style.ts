/** The page's style: one column, system fonts, light and dark, and it folds down to a telephone's width. */

/**
 * Colours of the allocators, in the order in which they are given out: well apart from each other, also to
 * the colour-blind. The second of a pair is for dark ground.
 */
const HUES: readonly (readonly [light: string, dark: string])[] = [
  ['#2a78d6', '#3987e5'],
  ['#1baf7a', '#199e70'],
  ['#eda100', '#c98500'],
  ['#d6478d', '#d55181'],
  ['#4a3aa7', '#9085e9'],
  ['#eb6834', '#d95926'],
  ['#008300', '#4f9a3a'],
  ['#e34948', '#e66767'],
];

/** A line's dashes tell allocators apart where colours do not (in print, for instance). */
export const DASHES: readonly (readonly number[])[] = [
  [],
  [8, 4],
  [2, 3],
  [10, 3, 2, 3],
  [5, 2],
  [1, 2],
  [12, 6],
  [6, 2, 2, 2, 2, 2],
];

/** How many allocators have a colour of their own; more than these start again from the first. */
export const HUE_COUNT: number = HUES.length;

function hueVariables(which: 0 | 1): string {
  return HUES.map((pair, index) => `--hue-${index}:${pair[which]};`).join('');
}

/**
 * The style sheet.
 * @public
 */
export const STYLE: string = `
:root{color-scheme:light dark;
--ground:#fcfcfb;--panel:#ffffff;--ink:#1a1a19;--dim:#5c5b57;--rule:#dedcd6;--grid:#ebe9e4;--live:#8a8881;--live-fill:#8a888126;--good:#0a7a33;--bad:#b3261e;--best:#eef4fc;
--count:#6f6e69;--bytes:#b9b7ae;${hueVariables(0)}}
@media (prefers-color-scheme:dark){:root{
--ground:#1a1a19;--panel:#222221;--ink:#f2f1ed;--dim:#b0aea6;--rule:#3b3a37;--grid:#31302e;--live:#8f8d86;--live-fill:#8f8d8633;--good:#6cc788;--bad:#f2857d;--best:#25303d;
--count:#b0aea6;--bytes:#5f5d57;${hueVariables(1)}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:19px;margin:44px 0 4px;line-height:1.3}
h3{font-size:14px;margin:0 0 8px;font-weight:600}
p{margin:4px 0 12px;max-width:76ch}
a{color:inherit;text-decoration-color:var(--dim);text-underline-offset:2px}
code{overflow-wrap:anywhere;font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace}
.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}
.verdict{font-size:17px;margin:12px 0 20px}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:0;font-size:14px}
.facts dt{color:var(--dim)}.facts dd{margin:0;overflow-wrap:anywhere}
.scroll{overflow-x:auto;border:1px solid var(--rule);border-radius:6px;background:var(--panel);margin:8px 0 6px}
table{border-collapse:collapse;table-layout:fixed;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:5px 12px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
th{font-weight:600;color:var(--dim)}
th[scope=row]{overflow:hidden;text-overflow:ellipsis;color:var(--ink);text-align:left;font-weight:500;position:sticky;left:0;background:var(--panel);border-right:1px solid var(--rule)}
thead tr:first-child th:first-child{width:130px;text-align:left;position:sticky;left:0;background:var(--panel);border-right:1px solid var(--rule)}
thead .lock{font-weight:400}
thead tr:first-child th[colspan]{text-align:center;padding-left:1px;padding-right:1px;font-size:13px}
.first{border-left:1px solid var(--rule)}
td s{visibility:hidden;text-decoration:none}
tbody tr:last-child>*{border-bottom:0}
tr.mean>*{border-top:2px solid var(--rule);font-weight:600}
td.best{background:var(--best);font-weight:600}
.note{font-size:13px;color:var(--dim);margin:0 0 8px;max-width:110ch}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:28px;margin:20px 0 0}
.pair>*{min-width:0}
.key{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:6px;vertical-align:-0.5px}
.bars{display:grid;grid-template-columns:max-content max-content minmax(40px,1fr);gap:3px 10px;align-items:center;font-size:13px;font-variant-numeric:tabular-nums}
.bars .track{display:flex;align-items:center;gap:6px;min-width:0;padding-right:3.4em}
.bars .bar{height:13px;border-radius:0 3px 3px 0;min-width:2px;flex:none}
.bars .bar.second{opacity:.55}
.bars .gap{grid-column:1/-1;height:3px}
.columns{position:relative;z-index:1;display:flex;align-items:flex-end;height:150px;gap:2px;border-bottom:1px solid var(--dim)}
.columns>div{flex:1;display:flex;align-items:flex-end;height:100%;gap:1px;min-width:0}
.columns i{flex:1;display:block;border-radius:2px 2px 0 0}
.columns i.some{min-height:2px}
.count{background:var(--count)}.bytes{background:var(--bytes)}
.frame{position:relative;padding-left:40px;margin-top:14px}
.frame .lines{position:absolute;left:0;right:0;top:0;height:150px;pointer-events:none}
.frame .lines span{position:absolute;left:40px;right:0;border-top:1px solid var(--grid)}
.frame .lines b{position:absolute;left:0;width:34px;text-align:right;font:11px/1 system-ui,sans-serif;white-space:nowrap;color:var(--dim);transform:translateY(-50%)}
.ticks{display:flex;gap:2px;font-size:11px;color:var(--dim);font-variant-numeric:tabular-nums}
.ticks span{flex:1;min-width:0;text-align:center;white-space:nowrap;overflow:visible}
.ticks span>*{display:inline-block;margin:0 -20px}
.ticks.dense>span:nth-child(even){visibility:hidden}
.axis{font-size:12px;color:var(--dim);text-align:center;margin:2px 0 0}
.plot{margin:20px 0 0;min-width:0}
.plot .canvas{min-height:280px;overflow:hidden}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:13px;color:var(--dim);margin:0 0 6px}
.legend span{white-space:nowrap}
.uplot{color:var(--ink)}
.uplot .u-legend{text-align:left;font-size:13px;font-variant-numeric:tabular-nums;margin:4px 0 0;width:100%}
.uplot .u-legend{table-layout:auto}
.uplot .u-legend tr,.uplot .u-legend th,.uplot .u-legend td{border:0;width:auto;background:none;position:static}
.uplot .u-legend th,.uplot .u-legend td{padding:1px 4px;font-weight:400;text-align:left;color:var(--ink)}
.uplot .u-legend tr{margin-right:14px}
.uplot .u-legend .u-marker{width:14px;height:6px;border-radius:1px}
.uplot .u-legend tr:first-child .u-marker{display:none}
.uplot .u-legend .u-value{min-width:7.4em;width:auto;color:var(--dim)}
.uplot .u-legend.u-inline .u-series>*{padding:1px 3px}
.u-cursor-x,.u-cursor-y{border-color:var(--dim)!important}
ul.violations{margin:4px 0 12px;padding-left:20px;font-size:13px}
table.steps{table-layout:auto;min-width:620px}
table.steps thead th:first-child{width:auto!important}
table.steps .words,table.steps thead th:nth-child(2){text-align:left;white-space:normal}
.apart{margin-top:22px}
.shown{display:grid;grid-template-columns:max-content 1fr;gap:4px 14px;font-size:14px;margin:0}
.shown dt{font-weight:600}.shown dd{margin:0;min-width:0}
.shown pre{margin:2px 0 8px;color:var(--dim);font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;white-space:pre-wrap;overflow-wrap:anywhere}
section{border-top:1px solid var(--rule);margin-top:40px}
section h2{margin-top:20px}
@media (max-width:760px){main{padding:20px 14px 48px}.pair{grid-template-columns:1fr;gap:24px}h1{font-size:22px}
.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:6px}th,td{padding:5px 9px}}
@media (max-width:420px){.ticks>span:nth-child(even){visibility:hidden}}
@media print{section{break-inside:avoid}.scroll{overflow:visible}}
`;
