#include "src/artifacts/restore.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "src/artifacts/abandoned_files.hpp"
#include "src/artifacts/archive.hpp"
#include "src/artifacts/member_place.hpp"
#include "src/artifacts/restored_tree.hpp"
#include "src/artifacts/staged_files.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/random.hpp"
#include "src/system/staging_name.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

/// Reads the archive to its end without writing anything. Throws RefusedArchive if it is malformed
/// or its unpacked size exceeds `max_bytes`.
void verify(const FileRange& archive, uint64_t max_bytes, int interrupt) {
  ArchiveReader reader(archive);
  UnpackedSize size;
  while (const auto member = reader.next()) {
    throw_if_interrupted(interrupt);
    size.add(*member);
    if (const std::string excess = size.excess(); !excess.empty())
      throw RefusedArchive("the stored artifacts have " + excess);
    if (size.bytes() > max_bytes)
      throw RefusedArchive("the stored artifacts are larger than --max-entry");
    (void)place_of(member->name);
  }
}

/// One restore. The destructor undoes everything unless run() has moved all files into place.
class Restorer {
 public:
  Restorer(const FileRange& archive, const std::vector<std::string>& stored, int interrupt)
      : reader_(archive), stored_(stored), interrupt_(interrupt) {}
  ~Restorer() {
    if (done_) return;
    files_.remove();
    tree_.undo();
  }
  Restorer(const Restorer&) = delete;
  Restorer& operator=(const Restorer&) = delete;

  /// `is_wanted`: for each path of the archive whether to restore it. The archive must contain all
  /// of the wanted paths.
  void run(const std::vector<bool>& is_wanted) {
    std::vector<bool> found(stored_.size());
    while (const auto member = reader_.next()) {
      const MemberPlace place = place_of(member->name);
      if (place.index >= stored_.size() || !is_wanted[place.index]) continue;
      throw_if_interrupted(interrupt_);
      found[place.index] = true;
      add(*member, place);
    }
    for (size_t i = 0; i < stored_.size(); ++i)
      if (is_wanted[i] && !found[i])
        throw RefusedArchive("the stored artifacts are damaged: " + escape_controls(stored_[i]) +
                             " is missing");
    files_.put_in_place();
    done_ = true;
    tree_.finish();
  }

 private:
  void add(const Member& member, const MemberPlace& place) {
    RestoredTree::Node node = tree_.locate(member, place);
    if (member.kind == MemberKind::directory) {
      tree_.make_directory(std::move(node), member.mode);
    } else {
      files_.add(reader_, member, std::move(node));
    }
  }

  ArchiveReader reader_;
  const std::vector<std::string>& stored_;
  int interrupt_;
  StagingNames names_{random_name()};
  AbandonedFiles abandoned_;
  RestoredTree tree_{stored_, names_, abandoned_};
  StagedFiles files_{tree_, names_, interrupt_};
  bool done_ = false;
};

}  // namespace

void restore(const FileRange& archive, const std::vector<std::string>& stored,
             const std::vector<std::string>& wanted, uint64_t max_bytes, int interrupt) {
  std::vector<bool> is_wanted;
  is_wanted.reserve(stored.size());
  for (const std::string& path : stored)
    is_wanted.push_back(std::find(wanted.begin(), wanted.end(), path) != wanted.end());
  verify(archive, max_bytes, interrupt);
  Restorer(archive, stored, interrupt).run(is_wanted);
}

}  // namespace memolock
