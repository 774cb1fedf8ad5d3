// SPDX-License-Identifier: Apache-2.0
// The shared worker: one for all tabs of a browser (stream-hub.mjs).

import { Hub } from './stream-hub.mjs';

const hub = new Hub();

addEventListener('connect', (event) => hub.connect(event.ports[0]));
