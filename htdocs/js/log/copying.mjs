// SPDX-License-Identifier: Apache-2.0
// What is selected of the rows, as the lines were: a line that is shown in
// several rows is one, an empty one is there, and what the page says of a line
// is left out. (A browser leaves out empty rows, and breaks a line at each.)

/** The selected text, or null: the selection goes beyond the rows, or has none. */
export function selectedText(rows) {
  const selection = getSelection();
  if (selection.rangeCount !== 1 || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  if (!rows.contains(range.commonAncestorContainer)) return null;
  let text = null;
  for (const node of rows.querySelectorAll('.row')) {
    if (!range.intersectsNode(node)) continue;
    const isNew = text !== null && node.row.part === 0;
    text = `${text ?? ''}${isNew ? '\n' : ''}${within(range, node.querySelector(':scope > .text'))}`;
  }
  return text;
}

// What the range has of an element.
function within(range, element) {
  const part = document.createRange();
  part.selectNodeContents(element);
  const cut = element.querySelector(':scope > .cut');
  if (cut !== null) part.setEndBefore(cut);
  if (range.compareBoundaryPoints(Range.START_TO_START, part) > 0) {
    part.setStart(range.startContainer, range.startOffset);
  }
  if (range.compareBoundaryPoints(Range.END_TO_END, part) < 0) {
    part.setEnd(range.endContainer, range.endOffset);
  }
  return part.toString();
}
