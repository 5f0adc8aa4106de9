/**
 * Memory of windows that machines after a crash leave to the next one. A fresh `ArrayBuffer` costs more than anything else
 * in opening an image: its pages are faulted in one by one, and it makes the garbage collector run.
 */
import { Buffer } from "node:buffer";

/** Windows kept for reuse, of any size. */
const KEPT_MAX = 256;

export class WindowPool {
  readonly #kept = new Map<number, Buffer[]>();
  #count = 0;

  /** Memory of `size` bytes, and whether it is all zeros. */
  take(size: number): { window: Buffer; isZeros: boolean } {
    const window = this.#kept.get(size)?.pop();
    if (window === undefined) return { window: Buffer.from(new ArrayBuffer(size)), isZeros: true };
    this.#count--;
    return { window, isZeros: false };
  }

  /** Nobody may touch this memory any more. */
  give(window: Buffer): void {
    if (this.#count === KEPT_MAX) return;
    const kept = this.#kept.get(window.length);
    if (kept === undefined) this.#kept.set(window.length, [window]);
    else kept.push(window);
    this.#count++;
  }
}
