// Drag and drop of files onto an element.

/**
 * Call `onFile` with the first file that is dropped on the node; highlight the node while a file is over it.
 * @param {HTMLElement} node
 * @param {(file: File) => void} onFile
 */
export function acceptDrops(node, onFile) {
  for (const type of ["dragenter", "dragover"]) {
    node.addEventListener(type, (event) => {
      event.preventDefault();
      node.classList.add("drag-over");
    });
  }
  node.addEventListener("dragleave", () => node.classList.remove("drag-over"));
  node.addEventListener("drop", (event) => {
    event.preventDefault();
    node.classList.remove("drag-over");
    const file = event.dataTransfer?.files[0];
    if (file) onFile(file);
  });
}
