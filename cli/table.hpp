// Tables: aligned columns on a terminal, otherwise fields separated by tabs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output.hpp"

namespace memolock {

/// How many columns of a terminal a printable UTF-8 text takes.
[[nodiscard]] size_t columns_of(std::string_view text);

/// `text` in at most `columns` columns: shortened in the middle, since names differ at their ends.
[[nodiscard]] std::string shortened(const std::string& text, size_t columns);

class Table {
 public:
  enum class Alignment { left, right };
  struct Column {
    const char* title;
    Alignment alignment;
    size_t min_width;  ///< the narrowest width, in terminal columns; 0: it is never shortened
  };

  /// `width`: of the terminal, in columns; 0: not a terminal, so fields are separated by tabs and
  /// there are no titles. Keeps a reference to `output`.
  Table(Output& output, std::vector<Column> columns, size_t width);

  /// Adds a line of printable texts, one for each column.
  void add(std::vector<std::string> fields);
  /// Writes the lines that are still buffered. If no line was added, writes nothing, not even
  /// titles.
  void finish();

 private:
  void choose_widths();
  void narrow_to_terminal();
  void write(const std::vector<std::string>& fields);

  Output& output_;
  std::vector<Column> columns_;
  size_t width_;
  std::vector<size_t> widths_;
  // The first lines, from which the widths of the columns are chosen.
  std::vector<std::vector<std::string>> first_;
  bool widths_chosen_ = false;
};

}  // namespace memolock
