// Many entries, in little memory: which have been seen, and a list of them to be sorted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/entry/key.hpp"

namespace memolock {

/// A set of names that only grows; 11 to 22 bytes each, however long they are. Two that have the
/// same 64-bit hash are taken for one: of a million, once in 40 million walks.
class SeenNames {
 public:
  /// Whether it is new.
  [[nodiscard]] bool add(std::string_view name);
  [[nodiscard]] size_t size() const { return size_; }

 private:
  bool put(uint64_t hash);
  void grow();

  std::vector<uint64_t> slots_;  // 0: free; their number is a power of two
  size_t size_ = 0;
};

/// A key, and a number of the caller's.
struct NumberedKey {
  Key key;
  size_t number = 0;
};

/// Keys one behind the other.
class KeyList {
 public:
  void add(const Key& key, size_t number);
  [[nodiscard]] size_t size() const { return items_.size(); }
  [[nodiscard]] size_t bytes() const { return text_.size(); }
  [[nodiscard]] NumberedKey at(size_t index) const;
  /// By tag and id.
  void sort();
  /// Gives its memory back, too.
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
