#include "src/system/hash.hpp"

#include <sodium/core.h>
#include <sodium/crypto_generichash_blake2b.h>

#include <cstdint>

#include "src/system/percent.hpp"

namespace memolock {
namespace {

using State = crypto_generichash_blake2b_state;

State* state_in(std::array<unsigned char, 384>& bytes) {
  static_assert(sizeof(State) == sizeof bytes && alignof(State) <= 64);
  return reinterpret_cast<State*>(bytes.data());
}

}  // namespace

Hash::Hash(size_t size) : size_(size) {
  crypto_generichash_blake2b_init(state_in(state_), nullptr, 0, size_);
}

void Hash::add(std::string_view word) {
  std::array<char, 8> length{};
  for (size_t i = 0; i < length.size(); ++i)
    length.at(i) = static_cast<char>(static_cast<uint64_t>(word.size()) >> (8 * i));
  add_bytes({length.data(), length.size()});
  add_bytes(word);
}

void Hash::add_bytes(std::string_view bytes) {
  crypto_generichash_blake2b_update(
      state_in(state_), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

std::string Hash::finish() {
  std::array<unsigned char, 64> digest{};
  crypto_generichash_blake2b_final(state_in(state_), digest.data(), size_);
  return hex(digest.data(), size_);
}

void prepare_fast_hashes() { (void)!sodium_init(); }

}  // namespace memolock
