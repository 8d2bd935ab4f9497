// Any bytes as the files of an export: refused, or the same again when they are
// written anew.
// Input: one byte that chooses the file, then the file.

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "client/entry_line.h"
#include "client/export_form.h"
#include "client/safetensors.h"
#include "client/token_file.h"
#include "google/protobuf/stubs/logging.h"

namespace mneme::client {
namespace {

void CheckRefusal(const absl::Status& status) {
  CHECK(absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status));
  CHECK(!base::DetailOf(status).reason.empty());
}

void ReadsEnd(std::string_view bytes) {
  const auto end = ParseEndMarker(bytes);
  if (!end.ok()) return CheckRefusal(end.status());
  for (const auto& [name, file] : end->files) {
    CHECK(name.find('/') == std::string::npos && name != "..");
  }
  CHECK(ParseEndMarker(EncodeEndMarker(*end)).value() == *end);
}

void ReadsManifest(std::string_view bytes) {
  const auto manifest = ParseManifest(bytes);
  if (!manifest.ok()) return CheckRefusal(manifest.status());
  const std::string once = EncodeManifest(*manifest);
  const auto again = ParseManifest(once);
  CHECK(again.ok() && EncodeManifest(*again) == once);
}

void ReadsEntry(std::string_view bytes) {
  const auto entry = EntryFromLine(bytes);
  if (!entry.ok()) return CheckRefusal(entry.status());
  const auto line = EntryToLine(*entry);
  CHECK(line.ok() && line->find('\n') == std::string::npos);
  const auto again = EntryFromLine(*line);
  CHECK(again.ok() && EntryToLine(*again).value() == *line);
}

void ReadsTokens(std::string_view bytes) {
  auto content = ParseSafetensors(bytes);
  if (!content.ok()) return CheckRefusal(content.status());
  auto file = TokenFile::Create(*std::move(content));
  if (!file.ok()) return CheckRefusal(file.status());
  CHECK(file->count() > 0 && file->forgotten() <= file->count());
  uint64_t count = 0;
  uint64_t forgotten = 0;
  for (size_t bytes_max = 1; !file->done(); bytes_max *= 2) {
    const v1::ExportedTokens part = file->Next(bytes_max);
    CHECK(part.seq_first() == file->seq_first() + count);
    CHECK(part.rows().positions_size() > 0);
    count += part.rows().positions_size();
    for (const v1::SeqRange& range : part.forgotten()) {
      forgotten += range.end() - range.begin();
    }
  }
  CHECK(count == file->count() && forgotten == file->forgotten());
}

}  // namespace
}  // namespace mneme::client

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mneme::client;
  static const google::protobuf::LogSilencer silencer;
  constexpr void (*kTargets[])(std::string_view) = {ReadsEnd, ReadsManifest,
                                                    ReadsEntry, ReadsTokens};
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  kTargets[data[0] % std::size(kTargets)](bytes.substr(1));
  return 0;
}
