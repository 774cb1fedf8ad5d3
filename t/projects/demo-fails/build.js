// build.js - does not compile, on purpose: a bracket is missing
'use strict';

const pages = ['index', 'about', 'contact';

for (const page of pages) {
  console.log(`Building ${page}`);
}
