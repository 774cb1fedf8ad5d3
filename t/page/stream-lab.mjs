// SPDX-License-Identifier: Apache-2.0
// stream-lab.mjs - a stream in a page of its own, which shows nothing: runs in
// the browser, as globalThis.lab
//
//   lab.follow(build, options)  a LogStream, opened; what it tells is kept
//   lab.ids(build)      of its lines, as they came (of all streams: of that build)
//   lab.count           of all lines
//   lab.state           the last state, { name, detail, ms }; lab.states: all
import { LogStream } from '/js/stream.mjs';

const lab = globalThis.lab = {
  stream: null, lines: [], count: 0, state: null, states: [], records: [], ends: [], gaps: [], times: 0,
};

lab.follow = (build, options) => {
  lab.stream?.close();
  Object.assign(lab, {
    lines: [], count: 0, state: null, states: [], records: [], ends: [], gaps: [], times: 0,
  });
  lab.stream = new LogStream(build, {
    line: (line) => {
      lab.count = lab.lines.push(`${line.build} ${line.id}`);
    },
    build: (record) => lab.records.push(record),
    end: (record) => lab.ends.push(record),
    gap: (gap) => lab.gaps.push(gap),
    time: () => {
      lab.times += 1;
    },
    state: (name, { problem, ...detail } = {}) => {
      if (problem) detail.status = problem.status;
      lab.state = { name, detail, ms: Date.now() };
      lab.states.push(lab.state);
    },
  }, options);
  lab.stream.open();
};

lab.ids = (build) => lab.lines.filter((one) => one.startsWith(`${build} `))
  .map((one) => one.slice(one.indexOf(' ') + 1)).join(' ');
