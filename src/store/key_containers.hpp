// Compact containers for the names of many entries: a set and a list. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/entry/key.hpp"

namespace memolock {

/// A set of names that only grows. It uses 11 to 22 bytes per name, whatever the name's length. It
/// stores 64-bit hashes, so two different names may be treated as the same one: with a million
/// names, the probability of that is 1 in 40 million.
class NameSet {
 public:
  /// Returns whether the name is new.
  [[nodiscard]] bool add(std::string_view name);
  [[nodiscard]] size_t size() const { return size_; }

 private:
  bool insert(uint64_t hash);
  void grow();

  std::vector<uint64_t> slots_;  // 0: free; the size is a power of two
  size_t size_ = 0;
};

/// A key, and a number whose meaning is up to the caller.
struct NumberedKey {
  Key key;
  size_t number = 0;
};

/// A list of keys whose text is stored in one string.
class KeyList {
 public:
  void add(const Key& key, size_t number);
  [[nodiscard]] size_t size() const { return items_.size(); }
  [[nodiscard]] size_t bytes() const { return text_.size(); }
  [[nodiscard]] NumberedKey at(size_t index) const;
  /// Sorts by tag and id.
  void sort();
  /// Removes all keys and frees their memory.
  void clear() { *this = {}; }

 private:
  struct Item {
    uint32_t offset;
    uint16_t tag_size, id_size;
    uint32_t number;
  };
  [[nodiscard]] std::string_view tag(const Item& item) const;
  [[nodiscard]] std::string_view id(const Item& item) const;

  std::string text_;
  std::vector<Item> items_;
};

}  // namespace memolock
