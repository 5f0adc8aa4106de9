// Three ways to one number. By instructions, eight bytes take one cycle but a result is ready only after three, so three
// lanes run side by side; a lane's register is moved over the bytes of the next by a table, for CRCs are linear:
// crc(a then b) = shift(crc(a)) ^ crc(b). Without the instructions, eight tables take eight bytes a step.
#include "crc32c.h"

#include <cstring>

#include "platform.h"

#if defined(_MSC_VER) && defined(_M_X64)
#include <nmmintrin.h>
// This compiler knows every instruction everywhere.
#define FOLIODB_CRC_TARGET
#define FOLIODB_CRC_X64
#elif defined(_MSC_VER) && defined(_M_ARM64)
#include <intrin.h>
#define FOLIODB_CRC_TARGET
#elif defined(__x86_64__)
#include <nmmintrin.h>
#define FOLIODB_CRC_X64
#if defined(__clang__) && __clang_major__ >= 14
// Since then the checksum is a feature of its own, which an attribute's sse4.2 does not bring along.
#define FOLIODB_CRC_TARGET __attribute__((target("sse4.2,crc32")))
#else
#define FOLIODB_CRC_TARGET __attribute__((target("sse4.2")))
#endif
#elif defined(__aarch64__)
#include <arm_acle.h>
#if defined(__clang__)
#define FOLIODB_CRC_TARGET __attribute__((target("crc")))
#else
#define FOLIODB_CRC_TARGET __attribute__((target("+crc")))
#endif
#endif

namespace foliodb {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;
/** Bytes of a lane. A page of 4 KiB is five times three lanes and a short rest. */
constexpr size_t kLane = 256;

struct Tables {
  /** bytes[k][b]: register after the byte b and k zero bytes. */
  uint32_t bytes[8][256];
  /** shift[k][b]: the register b << 8k moved over a lane of zero bytes. */
  uint32_t shift[4][256];
};

constexpr Tables makeTables() {
  Tables tables{};
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables.bytes[0][b] = crc;
  }
  for (int k = 1; k < 8; k++) {
    for (int b = 0; b < 256; b++) {
      const uint32_t crc = tables.bytes[k - 1][b];
      tables.bytes[k][b] = (crc >> 8) ^ tables.bytes[0][crc & 255];
    }
  }
  // Moving is linear: 32 single bits tell it all.
  uint32_t moved[32] = {};
  for (int bit = 0; bit < 32; bit++) {
    uint32_t crc = uint32_t{1} << bit;
    for (size_t i = 0; i < kLane; i++) crc = (crc >> 8) ^ tables.bytes[0][crc & 255];
    moved[bit] = crc;
  }
  for (int k = 0; k < 4; k++) {
    for (int b = 0; b < 256; b++) {
      uint32_t crc = 0;
      for (int bit = 0; bit < 8; bit++) crc ^= (b >> bit & 1) != 0 ? moved[8 * k + bit] : 0;
      tables.shift[k][b] = crc;
    }
  }
  return tables;
}

constexpr Tables kTables = makeTables();

uint32_t byTable(const uint8_t* at, size_t length, uint32_t crc) {
  const auto& t = kTables.bytes;
  for (; length >= 8; at += 8, length -= 8) {
    // Byte by byte, so that the order of bytes in the machine's words does not matter.
    const uint32_t low = crc ^ (at[0] | uint32_t{at[1]} << 8 | uint32_t{at[2]} << 16 | uint32_t{at[3]} << 24);
    crc = t[7][low & 255] ^ t[6][low >> 8 & 255] ^ t[5][low >> 16 & 255] ^ t[4][low >> 24] ^ t[3][at[4]] ^
          t[2][at[5]] ^ t[1][at[6]] ^ t[0][at[7]];
  }
  for (; length > 0; at++, length--) crc = (crc >> 8) ^ t[0][(crc ^ *at) & 255];
  return crc;
}

#if defined(FOLIODB_CRC_TARGET)

uint64_t word(const uint8_t* at) {
  uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

uint32_t shiftOverLane(uint32_t crc) {
  const auto& t = kTables.shift;
  return t[0][crc & 255] ^ t[1][crc >> 8 & 255] ^ t[2][crc >> 16 & 255] ^ t[3][crc >> 24];
}

#if defined(FOLIODB_CRC_X64)
FOLIODB_CRC_TARGET inline uint32_t step8(uint32_t crc, uint64_t value) {
  return static_cast<uint32_t>(_mm_crc32_u64(crc, value));
}
FOLIODB_CRC_TARGET inline uint32_t step1(uint32_t crc, uint8_t value) { return _mm_crc32_u8(crc, value); }
#else
FOLIODB_CRC_TARGET inline uint32_t step8(uint32_t crc, uint64_t value) { return __crc32cd(crc, value); }
FOLIODB_CRC_TARGET inline uint32_t step1(uint32_t crc, uint8_t value) { return __crc32cb(crc, value); }
#endif

FOLIODB_CRC_TARGET uint32_t byInstruction(const uint8_t* at, size_t length, uint32_t crc) {
  for (; length >= 3 * kLane; at += 3 * kLane, length -= 3 * kLane) {
    uint32_t second = 0;
    uint32_t third = 0;
    for (size_t i = 0; i < kLane; i += 8) {
      crc = step8(crc, word(at + i));
      second = step8(second, word(at + kLane + i));
      third = step8(third, word(at + 2 * kLane + i));
    }
    crc = shiftOverLane(shiftOverLane(crc) ^ second) ^ third;
  }
  for (; length >= 8; at += 8, length -= 8) crc = step8(crc, word(at));
  for (; length > 0; at++, length--) crc = step1(crc, *at);
  return crc;
}

#endif

}  // namespace

bool crc32cIsAccelerated() {
#if defined(FOLIODB_CRC_TARGET)
  static const bool accelerated = platform::hasCrc32cInstructions();
  return accelerated;
#else
  return false;
#endif
}

uint32_t crc32cByTable(const void* bytes, size_t length, uint32_t seed) {
  return ~byTable(static_cast<const uint8_t*>(bytes), length, ~seed);
}

uint32_t crc32c(const void* bytes, size_t length, uint32_t seed) {
#if defined(FOLIODB_CRC_TARGET)
  if (crc32cIsAccelerated()) return ~byInstruction(static_cast<const uint8_t*>(bytes), length, ~seed);
#endif
  return crc32cByTable(bytes, length, seed);
}

}  // namespace foliodb
