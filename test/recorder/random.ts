/**
 * Random numbers that replay: the same seed gives the same sequence on every machine. The generator is sfc32 of Chris
 * Doty-Humphrey's PractRand (public domain): 128 bits of state, fast in 32-bit integers.
 */

const TWO_32 = 2 ** 32;
/** Rounds that mix a seed into the whole state before the first number is given out. */
const WARM_UP = 12;

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  /** Any finite number is a seed; its low 53 bits count. */
  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / TWO_32) | 0;
    this.#c = 0x2545f491;
    this.#counter = 1;
    for (let i = 0; i < WARM_UP; i++) this.u32();
  }

  /** 0 … 2^32 - 1. */
  u32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** 0 … count - 1. The bias of a count that is no power of two is below count / 2^32. */
  below(count: number): number {
    return Math.floor((this.u32() / TWO_32) * count);
  }

  coin(): boolean {
    return (this.u32() & 1) === 1;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.u32() & 0xff;
    return bytes;
  }
}

/** A seed stands for the sequence it starts. */
export function asRandom(random: Random | number): Random {
  return typeof random === "number" ? new Random(random) : random;
}
