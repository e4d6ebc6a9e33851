// BLAKE2b, for what must never be the same by accident nor by design.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace memolock {

/// One hash in the making, of bytes and of words.
class Hash {
 public:
  /// `size`: bytes of the digest, 16 to 64; not a cut of a longer one.
  explicit Hash(size_t size);

  /// Adds a word behind its length (8 bytes, the lowest first), so that ("ab", "c") and ("a", "bc")
  /// differ.
  void add(std::string_view word);
  /// Adds bytes as they are.
  void add_bytes(std::string_view bytes);

  /// The digest in hexadecimal digits. Call it once, last.
  [[nodiscard]] std::string finish();

 private:
  size_t size_;
  // The library's state, whose header stays out of this one.
  alignas(64) std::array<unsigned char, 384> state_{};
};

/// Has all later hashes take the processor's fastest instructions. It costs more than the hash of a
/// few words, so it is for those who have much to hash. Call it before any thread hashes.
void prepare_fast_hashes();

}  // namespace memolock
