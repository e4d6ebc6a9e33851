// BLAKE2b, a cryptographic hash. Only this module uses libsodium.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace memolock {

/// Computes the hash of a sequence of words and bytes. Used by one thread.
class Hash {
 public:
  /// `size`: of the digest, 16 to 64 bytes; a shorter digest is not a prefix of a longer one.
  explicit Hash(size_t size);

  /// Adds the length of a word (8 bytes, little-endian) and the word, so that ("ab", "c") and
  /// ("a", "bc") differ.
  void add(std::string_view word);
  /// Adds bytes without their length.
  void add_bytes(std::string_view bytes);

  /// The digest in hexadecimal digits. To be called once, last.
  [[nodiscard]] std::string finish();

 private:
  size_t size_;
  // The library's state. Its header is not included here.
  alignas(64) std::array<unsigned char, 384> state_{};
};

/// Makes all later hashes use the fastest instructions of the processor. This costs more than
/// hashing a few words, so call it only for large inputs, and before any thread computes a hash.
void prepare_fast_hashes();

}  // namespace memolock
