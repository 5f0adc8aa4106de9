/** Writes the texts that are keys, or what follows the kind byte of one, into the buffer that keys are encoded in. */
import { Buffer } from "node:buffer";
import { KEY_SIZE_MAX } from "../format/limits.ts";
import { NO_ROOM, TEXT_LOOP_MAX, writeAsciiGroups, writeLongText, writeShortText } from "./text.ts";

export class KeyTextWriter {
  /** Bytes of a key before its text. */
  readonly #from: number;
  #target: Buffer = Buffer.alloc(0);
  /** The target whole, and from the text's first byte to the end of the largest key: made once for a target. */
  #view: DataView = new DataView(new ArrayBuffer(0));
  #room: Uint8Array = this.#target;

  constructor(from: number) {
    this.#from = from;
  }

  /** Returns the bytes written, `LONE_SURROGATE` or `NO_ROOM`. */
  write(text: string, target: Buffer): number {
    if (this.#target !== target) this.#seat(target);
    if (text.length <= TEXT_LOOP_MAX) {
      return writeShortText(text, target, this.#from, writeAsciiGroups(text, this.#view, this.#from));
    }
    return text.length > KEY_SIZE_MAX - this.#from ? NO_ROOM : writeLongText(text, this.#room);
  }

  #seat(target: Buffer): void {
    this.#view = new DataView(target.buffer, target.byteOffset, target.length);
    this.#room = new Uint8Array(target.buffer, target.byteOffset + this.#from, KEY_SIZE_MAX - this.#from);
    this.#target = target;
  }
}
