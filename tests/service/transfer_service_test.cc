// Sessions out of one server and into another, and every way in which a client
// can get that wrong.

#include "service/transfer_service.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "gtest/gtest.h"
#include "memory/keys.h"
#include "memory/presets.h"
#include "mneme/v1/transfer_service.grpc.pb.h"
#include "proto/status.h"
#include "service/convert_profile.h"
#include "service/export_stream.h"
#include "service/import_stream.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/faulty_store.h"
#include "tests/testing/map_store.h"
#include "tests/testing/random.h"

namespace mneme::service {
namespace {

using std::chrono::milliseconds;
using Parts = std::vector<v1::ImportSessionRequest>;

constexpr char kText[] = "namespaces/n/sessions/text";
constexpr char kTokens[] = "namespaces/n/sessions/tokens";
constexpr char kCopy[] = "namespaces/n/sessions/copy";
const memory::SessionName kCopyName = {.space = "n", .session = "copy"};

bool Never() { return false; }

class TransferServiceTest : public ::testing::Test {
 protected:
  TransferServiceTest() {
    memory_ = memory::Memory::Open(std::make_unique<testing::MapStore>(disk_),
                                   &clock_)
                  .value();
    service_ = std::make_unique<TransferService>(memory_.get(), &door_,
                                                 &limits_, &clock_);
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::TransferService::NewStub(server_->InProcessChannel({}));
    const auto text = memory_
                          ->Create({.space = "n", .session = "text"},
                                   memory::ProfileByName("text").value())
                          .value();
    for (const char* words : {"Ada keeps the key.", "Rain again.",
                              "The lamp is in the cellar. Nobody reads."}) {
      memory::TextEntry entry;
      entry.text = words;
      EXPECT_TRUE(text->AppendText(entry, {}).ok());
    }
    EXPECT_TRUE(text->Forget(memory::EntryNumber{2}).ok());
    CreateTokens();
  }

  ~TransferServiceTest() override {
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    EXPECT_EQ(service_->open_streams(), 0u);
    executor_.Stop();
  }

  // Several parts of some 1 MiB.
  void CreateTokens() {
    memory::Profile profile;
    profile.layers = 2;
    profile.query_heads = 2;
    profile.kv_heads = 2;
    profile.key_dim = 64;
    profile.value_dim = 64;
    profile.dtype = attention::DType::kF32;
    profile.window = memory::WindowTier{.tokens = 16};
    profile.knn = memory::KnnTier{.top_k = 4};
    const auto session =
        memory_->Create({.space = "n", .session = "tokens"}, profile).value();
    testing::Random random(testing::Seed());
    const auto bytes = [&random] {
      const std::vector<float> numbers =
          random.Normals(kTokenCount * size_t{4} * 64);
      return std::string(reinterpret_cast<const char*>(numbers.data()),
                         numbers.size() * sizeof(float));
    };
    const std::string keys = bytes();
    const std::string values = bytes();
    ASSERT_TRUE(session
                    ->AppendTokens({.count = kTokenCount,
                                    .keys = keys,
                                    .values = values,
                                    .positions = {}},
                                   {})
                    .ok());
  }

  // The parts of an export, as an import of `name` has them.
  Parts Export(const std::string& session, const std::string& name = kCopy) {
    v1::ExportSessionRequest request;
    request.set_session(session);
    grpc::ClientContext context;
    const auto reader = stub_->ExportSession(&context, request);
    Parts parts;
    v1::ExportSessionResponse part;
    while (reader->Read(&part)) {
      v1::ImportSessionRequest& out = parts.emplace_back();
      if (part.has_manifest()) {
        out.mutable_start()->set_session(name);
        *out.mutable_start()->mutable_manifest() = part.manifest();
      } else if (part.has_entries()) {
        *out.mutable_entries() = part.entries();
      } else if (part.has_tokens()) {
        *out.mutable_tokens() = part.tokens();
      } else {
        *out.mutable_end() = part.end();
      }
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return parts;
  }

  absl::Status Import(const Parts& parts) {
    grpc::ClientContext context;
    response_.Clear();
    const auto writer = stub_->ImportSession(&context, &response_);
    for (const v1::ImportSessionRequest& part : parts) {
      if (!writer->Write(part)) break;
    }
    writer->WritesDone();
    return proto::FromGrpc(writer->Finish());
  }

  // Until so many streams are open, or for ten seconds.
  void AwaitStreams(size_t count) {
    const auto late = std::chrono::steady_clock::now() + milliseconds(10'000);
    while (service_->open_streams() != count &&
           std::chrono::steady_clock::now() < late) {
      std::this_thread::yield();
    }
  }

  // Until so many imports have begun to write, or for ten seconds.
  void AwaitImports(size_t count) {
    const auto late = std::chrono::steady_clock::now() + milliseconds(10'000);
    while (testing::RecordsIn(*disk_, memory::AllImports()).size() != count &&
           std::chrono::steady_clock::now() < late) {
      std::this_thread::yield();
    }
  }

  // Until the streams are done with what a client left behind.
  void ExpectNothingOfCopy() {
    AwaitStreams(0);
    EXPECT_EQ(service_->open_streams(), 0u);
    EXPECT_TRUE(absl::IsNotFound(memory_->Find(kCopyName).status()));
    EXPECT_TRUE(testing::RecordsIn(*disk_, memory::AllImports()).empty());
    // Two sessions have records, and nobody else.
    EXPECT_TRUE(testing::RecordsIn(*disk_, {memory::AllOf(3).first,
                                            memory::AllOf(1'000).first})
                    .empty());
  }

  static constexpr uint64_t kTokenCount = 2000;

  base::RealClock clock_;
  Metrics metrics_{"test", "test"};
  testing::FakeClock limits_clock_;
  Limits limits_{&limits_clock_,
                 {.bytes = [](const std::string&) { return 0; },
                  .sessions = [](const std::string&) { return 2; }}};
  Executor executor_{{.threads = 2}};
  Door door_{&executor_, &metrics_, &limits_, &clock_};
  std::shared_ptr<testing::MapDisk> disk_ =
      std::make_shared<testing::MapDisk>();
  std::unique_ptr<memory::Memory> memory_;
  std::unique_ptr<TransferService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::TransferService::Stub> stub_;
  v1::ImportSessionResponse response_;
};

TEST_F(TransferServiceTest, TokensComeBackInPartsOfAMegabyte) {
  const Parts parts = Export(kTokens);
  ASSERT_GE(parts.size(), 5u);
  for (const auto& part : parts) EXPECT_LE(part.ByteSizeLong(), 1'100'000u);
  ASSERT_EQ(Import(parts), absl::OkStatus());
  EXPECT_EQ(response_.session(), kCopy);
  EXPECT_EQ(response_.tokens(), kTokenCount);
  testing::Random random(testing::Seed());
  memory::AttendQuery query;
  query.reads.push_back(
      {.layer = 1, .rows = 2, .queries = random.Normals(2 * 2 * 64)});
  const auto original = memory_->Find({.space = "n", .session = "tokens"});
  const auto copy = memory_->Find(kCopyName);
  const auto before = (*original)->Attend(query, Never).value();
  const auto after = (*copy)->Attend(query, Never).value();
  EXPECT_EQ(before.outputs[0].output, after.outputs[0].output);
  EXPECT_EQ(before.outputs[0].lse, after.outputs[0].lse);
  // Out again, it says the same.
  const Parts again = Export(kCopy);
  ASSERT_EQ(again.size(), parts.size());
  for (size_t i = 1; i < parts.size(); ++i) {
    EXPECT_EQ(again[i].SerializeAsString(), parts[i].SerializeAsString());
  }
}

TEST_F(TransferServiceTest, TextComesBackWithItsGap) {
  ASSERT_EQ(Import(Export(kText)), absl::OkStatus());
  EXPECT_EQ(response_.entries(), 2u);
  const auto copy = memory_->Find(kCopyName).value();
  memory::RecallQuery query;
  query.query = "who keeps the key";
  const auto recalled = copy->Recall(query, Never).value();
  ASSERT_FALSE(recalled.passages.empty());
  EXPECT_EQ(recalled.passages[0].text, "Ada keeps the key.");
  EXPECT_EQ(recalled.seq_next, 4u);
}

TEST_F(TransferServiceTest, WhatIsNotThereIsNotExported) {
  v1::ExportSessionRequest request;
  request.set_session("namespaces/n/sessions/nobody");
  grpc::ClientContext context;
  const auto reader = stub_->ExportSession(&context, request);
  v1::ExportSessionResponse part;
  EXPECT_FALSE(reader->Read(&part));
  EXPECT_TRUE(absl::IsNotFound(proto::FromGrpc(reader->Finish())));
}

TEST_F(TransferServiceTest, AnImportCutAfterAnyPartLeavesNothing) {
  for (const char* session : {kText, kTokens}) {
    const Parts parts = Export(session);
    for (size_t count = 0; count < parts.size(); ++count) {
      SCOPED_TRACE(count);
      const absl::Status cut =
          Import(Parts(parts.begin(), parts.begin() + count));
      EXPECT_EQ(base::DetailOf(cut).reason, "IMPORT_INCOMPLETE") << cut;
      ExpectNothingOfCopy();
    }
  }
}

TEST_F(TransferServiceTest, AClientThatVanishesAfterAnyPartLeavesNothing) {
  const Parts parts = Export(kTokens);
  for (size_t count = 0; count <= parts.size(); ++count) {
    SCOPED_TRACE(count);
    grpc::ClientContext context;
    const auto writer = stub_->ImportSession(&context, &response_);
    for (size_t i = 0; i < count; ++i) writer->Write(parts[i]);
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
    ExpectNothingOfCopy();
  }
}

TEST_F(TransferServiceTest, ADeadlineEndsAnImportThatWaits) {
  const Parts parts = Export(kTokens);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + milliseconds(200));
  const auto writer = stub_->ImportSession(&context, &response_);
  writer->Write(parts[0]);
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  ExpectNothingOfCopy();
}

TEST_F(TransferServiceTest, AClientThatReadsOnePartAndVanishesFreesItsSlot) {
  for (int i = 0; i < 3; ++i) {
    v1::ExportSessionRequest request;
    request.set_session(kTokens);
    grpc::ClientContext context;
    const auto reader = stub_->ExportSession(&context, request);
    v1::ExportSessionResponse part;
    ASSERT_TRUE(reader->Read(&part));
    context.TryCancel();
    while (reader->Read(&part)) {
    }
    reader->Finish();
  }
  ExpectNothingOfCopy();
}

TEST_F(TransferServiceTest, ANamespaceHasHalfTheStreamsAndNobodyMore) {
  v1::ImportSessionRequest start = Export(kText)[0];
  AwaitStreams(0);  // The export is gone, and its place is free.
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientWriter<v1::ImportSessionRequest>>>
      writers;
  const std::string others = "namespaces/others/sessions/copy";
  for (const std::string& name : {std::string(kCopy), others}) {
    start.mutable_start()->set_session(name);
    for (size_t i = 0; i < TransferService::kStreamsMax / 2; ++i) {
      contexts.push_back(std::make_unique<grpc::ClientContext>());
      writers.push_back(
          stub_->ImportSession(contexts.back().get(), &response_));
      ASSERT_TRUE(writers.back()->Write(start));
    }
    AwaitImports(writers.size());
    EXPECT_EQ(base::DetailOf(Import({start})).reason, "TOO_MANY_STREAMS");
  }
  start.mutable_start()->set_session("namespaces/third/sessions/copy");
  EXPECT_EQ(base::DetailOf(Import({start})).reason, "TOO_MANY_STREAMS");
  for (auto& open : contexts) open->TryCancel();
  for (auto& open : writers) open->Finish();
  ExpectNothingOfCopy();
}

TEST_F(TransferServiceTest, AnImportThatSendsNothingMoreIsEnded) {
  grpc::ClientContext context;
  const auto idle = stub_->ImportSession(&context, &response_);
  ASSERT_TRUE(idle->Write(Export(kText)[0]));
  AwaitImports(1);
  AwaitStreams(1);  // The export is gone.
  service_->EndIdleStreams(std::chrono::hours(1));
  EXPECT_EQ(service_->open_streams(), 1u);
  while (service_->open_streams() > 0) {
    service_->EndIdleStreams(std::chrono::nanoseconds(1));
  }
  EXPECT_EQ(base::DetailOf(proto::FromGrpc(idle->Finish())).reason,
            "STREAM_IDLE");
  ExpectNothingOfCopy();
}

TEST_F(TransferServiceTest, AnExportThatNobodyReadsIsEnded) {
  v1::ExportSessionRequest request;
  request.set_session(kTokens);
  grpc::ClientContext context;
  const auto reader = stub_->ExportSession(&context, request);
  AwaitStreams(1);
  service_->EndIdleStreams(std::chrono::hours(1));
  EXPECT_EQ(service_->open_streams(), 1u);
  while (service_->open_streams() > 0) {
    service_->EndIdleStreams(std::chrono::nanoseconds(1));
  }
  v1::ExportSessionResponse part;
  while (reader->Read(&part)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(TransferServiceTest, DrainEndsAnImportThatWaits) {
  grpc::ClientContext context;
  const auto idle = stub_->ImportSession(&context, &response_);
  ASSERT_TRUE(idle->Write(Export(kText)[0]));
  AwaitImports(1);
  service_->Drain();
  EXPECT_EQ(base::DetailOf(proto::FromGrpc(idle->Finish())).reason, "DRAINING");
  EXPECT_EQ(base::DetailOf(Import({})).reason, "DRAINING");
  ExpectNothingOfCopy();
}

TEST_F(TransferServiceTest, AnImportEndsWhereItsNamespaceMayHoldNoMore) {
  const Parts parts = Export(kTokens);
  // What is stored is counted again at nearly every part.
  const std::jthread time([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      limits_clock_.Pass(std::chrono::seconds(10));
      std::this_thread::yield();
    }
  });
  for (const auto& [limit, reason] :
       {std::pair(R"({"bytes": 2500000})", "QUOTA_BYTES"),
        std::pair(R"({"sessions": 2})", "QUOTA_SESSIONS")}) {
    limits_.Set(
        ParseLimitTable(absl::StrCat(R"({"default": )", limit, "}")).value());
    EXPECT_EQ(base::DetailOf(Import(parts)).reason, reason);
    ExpectNothingOfCopy();
  }
  limits_.Set({});
  EXPECT_EQ(Import(parts), absl::OkStatus());
}

TEST_F(TransferServiceTest, AnImportHoldsOnePlaceForItsSession) {
  const Parts parts = Export(kTokens);
  // Two are there, so that one place is left: for all parts of the first.
  limits_.Set(ParseLimitTable(R"({"default": {"sessions": 3}})").value());
  grpc::ClientContext context;
  v1::ImportSessionResponse slow_response;
  const auto slow = stub_->ImportSession(&context, &slow_response);
  ASSERT_TRUE(slow->Write(parts[0]));
  AwaitImports(1);
  const absl::Status second =
      Import(Export(kText, "namespaces/n/sessions/other"));
  EXPECT_EQ(base::DetailOf(second).reason, "QUOTA_SESSIONS") << second;
  EXPECT_TRUE(base::DetailOf(second).retry_after);
  for (size_t i = 1; i < parts.size(); ++i) slow->Write(parts[i]);
  slow->WritesDone();
  EXPECT_TRUE(slow->Finish().ok());
}

// Who says nothing takes no place from those who do.
TEST_F(TransferServiceTest, SilentStreamsAreNoNamespaces) {
  const Parts parts = Export(kText);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientWriter<v1::ImportSessionRequest>>>
      silent;
  for (size_t i = 0; i + 1 < TransferService::kStreamsMax / 2; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    silent.push_back(stub_->ImportSession(contexts.back().get(), &response_));
  }
  AwaitStreams(silent.size());
  EXPECT_EQ(Import(parts), absl::OkStatus());
  for (auto& open : contexts) open->TryCancel();
  for (auto& open : silent) open->Finish();
}

TEST_F(TransferServiceTest, TwoImportsOfANameMakeOneSession) {
  const Parts parts = Export(kText);
  grpc::ClientContext context;
  v1::ImportSessionResponse slow_response;
  const auto slow = stub_->ImportSession(&context, &slow_response);
  for (const auto& part : parts) ASSERT_TRUE(slow->Write(part));
  ASSERT_EQ(Import(parts), absl::OkStatus());
  slow->WritesDone();
  EXPECT_TRUE(absl::IsAlreadyExists(proto::FromGrpc(slow->Finish())));
  EXPECT_TRUE(absl::IsAlreadyExists(Import(parts)));
  EXPECT_EQ(memory_->Find(kCopyName).value()->Info().entries, 2u);
}

// A change to the parts, and what it must be refused with.
struct Wrong {
  std::string reason;
  std::string field;
  std::function<void(Parts&)> change;
};

TEST_F(TransferServiceTest, WhatIsWrongInTokensIsNamedAndLeavesNothing) {
  const Parts sound = Export(kTokens);
  const std::vector<Wrong> wrongs = {
      {"INVALID_FIELD", "part", [](Parts& p) { std::swap(p[0], p[1]); }},
      {"INVALID_FIELD", "part", [](Parts& p) { p.insert(p.begin(), p[0]); }},
      {"INVALID_FIELD", "part", [](Parts& p) { p.push_back(p.back()); }},
      {"INVALID_FIELD", "part", [](Parts& p) { p[1].Clear(); }},
      {"INVALID_FIELD", "tokens.seq_first",
       [](Parts& p) { std::swap(p[1], p[2]); }},
      {"INVALID_FIELD", "tokens.seq_first",
       [](Parts& p) { p.insert(p.begin() + 2, p[1]); }},
      {"INVALID_FIELD", "tokens.seq_first",
       [](Parts& p) { p.erase(p.begin() + 1); }},
      {"INVALID_FIELD", "manifest.seq_next",
       [](Parts& p) {
         p[p.size() - 2] = p.back();
         const auto& last = p[p.size() - 3].tokens();
         p[p.size() - 2].mutable_end()->set_tokens(
             last.seq_first() + last.rows().positions_size());
         p.pop_back();
       }},
      {"INVALID_FIELD", "end.tokens",
       [](Parts& p) { p.back().mutable_end()->set_tokens(~uint64_t{0}); }},
      {"INVALID_FIELD", "end.entries",
       [](Parts& p) { p.back().mutable_end()->set_entries(1); }},
      {"INVALID_FIELD", "tokens.values",
       [](Parts& p) {
         p[1].mutable_tokens()
             ->mutable_rows()
             ->mutable_values()
             ->mutable_data()
             ->replace(0, 4, "\xff\xff\xff\x7f");
       }},
      {"INVALID_FIELD", "tokens.keys.shape",
       [](Parts& p) {
         p[1].mutable_tokens()->mutable_rows()->mutable_keys()->set_shape(
             2, int64_t{1} << 62);
       }},
      {"INVALID_FIELD", "tokens.keys.data_type",
       [](Parts& p) {
         p[1].mutable_tokens()
             ->mutable_rows()
             ->mutable_keys()
             ->clear_data_type();
       }},
      {"INVALID_FIELD", "tokens.positions",
       [](Parts& p) {
         p[1].mutable_tokens()->mutable_rows()->clear_positions();
       }},
      {"INVALID_FIELD", "tokens.forgotten",
       [](Parts& p) {
         auto* range = p[1].mutable_tokens()->add_forgotten();
         range->set_begin(3);
         range->set_end(~uint64_t{0});
       }},
      {"INVALID_FIELD", "manifest.seq_next",
       [](Parts& p) {
         p[0].mutable_start()->mutable_manifest()->set_seq_next(~uint64_t{0});
       }},
      {"INVALID_FIELD", "profile.layers",
       [](Parts& p) {
         p[0].mutable_start()
             ->mutable_manifest()
             ->mutable_profile()
             ->set_layers(1'000'000);
       }},
      {"FORMAT_TOO_NEW", "manifest.version",
       [](Parts& p) {
         p[0].mutable_start()->mutable_manifest()->set_version(9);
       }},
      {"INVALID_FIELD", "session",
       [](Parts& p) { p[0].mutable_start()->set_session("../../etc"); }},
      {"WRONG_PAYLOAD", "",
       [](Parts& p) { p[1].mutable_entries()->add_entries()->set_entry(1); }},
  };
  for (size_t i = 0; i < wrongs.size(); ++i) {
    SCOPED_TRACE(i);
    Parts parts = sound;
    wrongs[i].change(parts);
    const absl::Status status = Import(parts);
    EXPECT_EQ(base::DetailOf(status).reason, wrongs[i].reason) << status;
    EXPECT_EQ(base::DetailOf(status).field, wrongs[i].field) << status;
    ExpectNothingOfCopy();
  }
}

TEST_F(TransferServiceTest, WhatIsWrongInTextIsNamedAndLeavesNothing) {
  const Parts sound = Export(kText);
  const auto entry = [](Parts& p, int number) {
    return p[1].mutable_entries()->mutable_entries(number);
  };
  const std::vector<Wrong> wrongs = {
      {"INVALID_FIELD", "entry.entry",
       [&](Parts& p) { *entry(p, 1) = *entry(p, 0); }},
      {"INVALID_FIELD", "entry.entry",
       [&](Parts& p) { p.insert(p.begin() + 1, p[1]); }},
      {"INVALID_FIELD", "entry.seq_first",
       [&](Parts& p) { entry(p, 1)->set_seq_first(0); }},
      {"INVALID_FIELD", "entry.seq_count",
       [&](Parts& p) { entry(p, 0)->set_seq_count(~uint32_t{0}); }},
      {"GAP_TOO_LARGE", "entry.seq_first",
       [&](Parts& p) { entry(p, 1)->set_seq_first(uint64_t{1} << 52); }},
      {"INVALID_FIELD", "text.text",
       [&](Parts& p) { entry(p, 0)->set_text("\xff"); }},
      {"INVALID_FIELD", "entry.time",
       [&](Parts& p) { entry(p, 0)->mutable_time()->set_nanos(-1); }},
      {"INVALID_FIELD", "end.entries",
       [&](Parts& p) { p.erase(p.begin() + 1); }},
      {"INVALID_FIELD", "manifest.entry_next",
       [&](Parts& p) {
         p[0].mutable_start()->mutable_manifest()->set_entry_next(3);
       }},
  };
  for (size_t i = 0; i < wrongs.size(); ++i) {
    SCOPED_TRACE(i);
    Parts parts = sound;
    wrongs[i].change(parts);
    const absl::Status status = Import(parts);
    EXPECT_EQ(base::DetailOf(status).reason, wrongs[i].reason) << status;
    EXPECT_EQ(base::DetailOf(status).field, wrongs[i].field) << status;
    ExpectNothingOfCopy();
  }
}

}  // namespace
}  // namespace mneme::service
