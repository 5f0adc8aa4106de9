/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) by tables, eight bytes a round ("slicing by 8", Kounavis and
 * Berry, 2005). An implementation of its own, so that it can check the addon's.
 */

const POLYNOMIAL = 0x82f63b78;
const SLICES = 8;

/** Table k holds, for each byte, its remainder after k more zero bytes. */
const TABLES = makeTables();

function makeTables(): Uint32Array[] {
  const first = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1;
    first[byte] = remainder;
  }
  const tables = [first];
  for (let slice = 1; slice < SLICES; slice++) {
    const previous = tables[slice - 1];
    tables.push(previous.map((remainder) => first[remainder & 0xff] ^ (remainder >>> 8)));
  }
  return tables;
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES;

/** CRC-32C of `bytes[from, to)`, continued from `seed`, the checksum of what came before (0 to start). */
export function crc32c(bytes: Uint8Array, from: number, to: number, seed: number): number {
  let crc = ~seed;
  let i = from;
  for (const rounds = to - SLICES; i <= rounds; i += SLICES) {
    crc ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    crc =
      T7[crc & 0xff] ^
      T6[(crc >>> 8) & 0xff] ^
      T5[(crc >>> 16) & 0xff] ^
      T4[crc >>> 24] ^
      T3[bytes[i + 4]] ^
      T2[bytes[i + 5]] ^
      T1[bytes[i + 6]] ^
      T0[bytes[i + 7]];
  }
  for (; i < to; i++) crc = T0[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}
