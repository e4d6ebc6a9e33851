// BLAKE2b: a cryptographic hash. The only user of libsodium.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace memolock {

/// The hash of a sequence of words and bytes. One thread.
class Hash {
 public:
  /// `size`: of the digest, 16 to 64 bytes; a shorter digest is not a prefix of a longer one.
  explicit Hash(size_t size);

  /// Adds the length of a word (8 bytes, little-endian) and the word, so that ("ab", "c") and
  /// ("a", "bc") differ.
  void add(std::string_view word);
  /// Adds bytes as they are.
  void add_bytes(std::string_view bytes);

  /// The digest as hexadecimal digits. Call it once, last.
  [[nodiscard]] std::string finish();

 private:
  size_t size_;
  // The state of the library, whose header is not included here.
  alignas(64) std::array<unsigned char, 384> state_{};
};

/// Makes all later hashes use the processor's fastest instructions. Costs more than hashing a few
/// words, so it is for large inputs. Call it before any thread hashes.
void prepare_fast_hashes();

}  // namespace memolock
