// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78): the checksum of pages and meta records.
#pragma once

#include <cstddef>
#include <cstdint>

namespace foliodb {

/** The checksum of `length` bytes, continued from `seed` (0 to start), by the fastest way this processor has. */
uint32_t crc32c(const void* bytes, size_t length, uint32_t seed);
/** The same by tables alone: for processors without the instructions, and to test the other against. */
uint32_t crc32cByTable(const void* bytes, size_t length, uint32_t seed);
/** Whether `crc32c` uses instructions of the processor. */
bool crc32cIsAccelerated();

}  // namespace foliodb
