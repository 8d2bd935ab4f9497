#include "client/export_reader.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/export_writer.h"
#include "client/sha256.h"
#include "gtest/gtest.h"
#include "tests/client/temporary_dir.h"
#include "tests/client/transfer_fixture.h"

namespace mneme::client {
namespace {

using testing::ExportParts;
using testing::TemporaryDir;

// An export in files, to be spoiled.
class Exported {
 public:
  explicit Exported(const ExportParts& parts) {
    auto writer = ExportWriter::Create(path()).value();
    for (const auto& part : parts) EXPECT_TRUE(writer->Add(part).ok());
    EXPECT_TRUE(writer->Finish().ok());
  }
  std::string path() const { return dir_.Path("out"); }
  std::string Read(const std::string& name) { return dir_.Read("out/" + name); }
  void Write(const std::string& name, const std::string& bytes) {
    dir_.Write("out/" + name, bytes);
  }
  void Remove(const std::string& name) {
    std::filesystem::remove(path() + "/" + name);
  }
  // Writes a file and makes the end marker agree with it.
  void Forge(const std::string& name, const std::string& bytes) {
    Write(name, bytes);
    EndMarker end = ParseEndMarker(Read(kEndFile)).value();
    Sha256 sha256;
    sha256.Add(bytes);
    end.files[name] = {.bytes = bytes.size(), .sha256 = sha256.Hex()};
    Write(kEndFile, EncodeEndMarker(end));
  }
  // What an import of it says; the parts go to `parts`.
  absl::Status Import(std::vector<v1::ImportSessionRequest>* parts = nullptr) {
    auto reader = ExportReader::Open(path());
    if (!reader.ok()) return reader.status();
    for (;;) {
      auto part = (*reader)->Next();
      if (!part.ok()) return part.status();
      if (!part->has_value()) return absl::OkStatus();
      if (parts != nullptr) parts->push_back(**part);
    }
  }
  std::string Reason() { return base::DetailOf(Import()).reason; }

 private:
  TemporaryDir dir_;
};

TEST(ExportReader, GivesWhatWasWritten) {
  std::vector<v1::ImportSessionRequest> parts;
  Exported text(testing::TextExport());
  ASSERT_EQ(text.Import(&parts), absl::OkStatus());
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].entries().SerializeAsString(),
            testing::TextExport()[1].entries().SerializeAsString());
  EXPECT_EQ(parts[1].end().entries(), 2u);
  EXPECT_EQ(
      ExportReader::Open(text.path()).value()->manifest().SerializeAsString(),
      testing::TextExport()[0].manifest().SerializeAsString());
  parts.clear();
  Exported tokens(testing::TokensExport());
  ASSERT_EQ(tokens.Import(&parts), absl::OkStatus());
  ASSERT_EQ(parts.size(), 2u);  // They fit in one part now.
  EXPECT_EQ(parts[0].tokens().rows().positions_size(), 20);
  EXPECT_EQ(parts[0].tokens().forgotten_size(), 2);
  EXPECT_EQ(parts[1].end().tokens(), 17u);
}

TEST(ExportReader, SeesEveryByteThatChanged) {
  for (const ExportParts& parts :
       {testing::TextExport(), testing::TokensExport()}) {
    Exported exported(parts);
    const EndMarker marker = ParseEndMarker(exported.Read(kEndFile)).value();
    for (const auto& [name, file] : marker.files) {
      const std::string sound = exported.Read(name);
      for (size_t at = 0; at < sound.size(); at += 41) {
        std::string bytes = sound;
        bytes[at] = static_cast<char>(bytes[at] ^ 1);
        exported.Write(name, bytes);
        EXPECT_EQ(exported.Reason(), "EXPORT_CHANGED") << name << " at " << at;
      }
      for (size_t size = 0; size < sound.size(); size += 53) {
        exported.Write(name, sound.substr(0, size));
        EXPECT_EQ(exported.Reason(), "EXPORT_CHANGED") << name;
      }
      exported.Write(name, sound + "x");
      EXPECT_EQ(exported.Reason(), "EXPORT_CHANGED") << name;
      exported.Remove(name);
      EXPECT_EQ(exported.Reason(), "EXPORT_INCOMPLETE") << name;
      exported.Write(name, sound);
    }
    EXPECT_EQ(exported.Import(), absl::OkStatus());
    exported.Remove(kEndFile);
    EXPECT_EQ(exported.Reason(), "EXPORT_INCOMPLETE");
  }
}

TEST(ExportReader, NamesTheLineThatDoesNotParseOrFollow) {
  Exported exported(testing::TextExport());
  const std::string sound = exported.Read(kEntriesFile);
  const std::string second = sound.substr(sound.find('\n') + 1);
  const auto message = [&](const std::string& entries) {
    exported.Forge(kEntriesFile, entries);
    return std::string(exported.Import().message());
  };
  EXPECT_EQ(message(sound), "");
  EXPECT_NE(message(second + sound).find("jsonl:2: entry 1"),
            std::string::npos);
  EXPECT_NE(message(sound + second).find("jsonl:3: entry 3"),
            std::string::npos);
  EXPECT_NE(message(second).find("1 entries"), std::string::npos);
  EXPECT_NE(message("").find("0 entries"), std::string::npos);
  EXPECT_NE(message(sound + "\n").find("jsonl:3"), std::string::npos);
  EXPECT_NE(message(sound.substr(0, sound.size() - 1)).find("no end"),
            std::string::npos);
  EXPECT_NE(message(std::string(9 << 20, ' ')).find("more than"),
            std::string::npos);
}

TEST(ExportReader, NamesTheFileOfTokensThatDoesNotFollow) {
  Exported exported(testing::TokensExport());
  const auto forged = [&](const std::vector<size_t>& numbers) {
    std::vector<v1::ExportedTokens> parts;
    for (const size_t number : numbers) {
      parts.push_back(testing::TokensExport()[number].tokens());
    }
    exported.Forge(TokensFileName(0),
                   EncodeSafetensors(TokenFileOf(parts).value()).value());
    return std::string(exported.Import().message());
  };
  EXPECT_EQ(forged({1, 2}), "");
  EXPECT_NE(forged({2}).find("seq 8; expected 0"), std::string::npos);
  EXPECT_NE(forged({1}).find("5 tokens"), std::string::npos);
}

TEST(ExportReader, TakesOnlyTheFilesOfItsKind) {
  Exported text(testing::TextExport());
  text.Forge(TokensFileName(0), "x");
  EXPECT_EQ(text.Reason(), "BAD_EXPORT");
  Exported tokens(testing::TokensExport());
  tokens.Forge(TokensFileName(2), "x");
  EXPECT_EQ(tokens.Reason(), "BAD_EXPORT");
}

TEST(ExportReader, WaitsForNoPipe) {
  for (const char* name : {kEndFile, kManifestFile}) {
    Exported exported(testing::TextExport());
    exported.Remove(name);
    ASSERT_EQ(mkfifo((exported.path() + "/" + name).c_str(), 0600), 0);
    const absl::Status status = exported.Import();
    EXPECT_NE(status.message().find("not a regular file"), std::string::npos)
        << status;
  }
}

TEST(ExportReader, SaysWhatIsNotThereAndCanBeStopped) {
  EXPECT_TRUE(absl::IsNotFound(ExportReader::Open("/no/such/export").status()));
  Exported exported(testing::TextExport());
  EXPECT_TRUE(
      absl::IsCancelled(ExportReader::Open(exported.path(), [](uint64_t) {
                          return false;
                        }).status()));
}

}  // namespace
}  // namespace mneme::client
