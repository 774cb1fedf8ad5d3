// build.js - pages/*.md become dist/*.html, then every link is checked
'use strict';

const fs = require('fs');
const path = require('path');
const { marked } = require('marked');
const color = require('picocolors');

const from = path.join(__dirname, 'pages');
const to = path.join(__dirname, 'dist');

function html(title, body) {
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>${title}</title>
<body>
${body}</body>
</html>
`;
}

fs.rmSync(to, { recursive: true, force: true });
fs.mkdirSync(to);

const pages = fs.readdirSync(from).filter((name) => name.endsWith('.md')).sort();
const links = [];
const started = process.hrtime.bigint();
let total = 0;

console.log(color.bold(`Building ${pages.length} pages with marked`));
for (const name of pages) {
  const source = fs.readFileSync(path.join(from, name), 'utf8');
  const title = /^# (.*)/m.exec(source)[1];
  const page = html(title, marked.parse(source, { mangle: false, headerIds: false }));
  const target = name.replace(/\.md$/, '.html');
  fs.writeFileSync(path.join(to, target), page);
  for (const [, href] of page.matchAll(/href="([^":]+\.html)"/g)) {
    links.push({ page: target, href });
  }
  total += page.length;
  console.log(`  ${color.green('✓')} ${target.padEnd(16)} ${color.dim(`${page.length} bytes`)}  ${title}`);
}

const broken = links.filter(({ href }) => !fs.existsSync(path.join(to, href)));
for (const { page, href } of broken) {
  console.error(color.yellow(`warning: ${page} links to ${href}, which does not exist`));
}

const ms = Number((process.hrtime.bigint() - started) / 1000000n);
console.log(`${links.length} links checked, ${broken.length} broken`);
console.log(color.bold(color.green(`Built dist/: ${pages.length} pages, ${total} bytes in ${ms} ms`)));
