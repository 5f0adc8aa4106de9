// Mapping objects: making, finding and receiving them, and the ways to other processes.
#include "binding_section.h"

#include <algorithm>
#include <string>
#include <utility>

#include "binding_addon.h"
#include "binding_operation.h"

namespace foliodb {

using platform::Outcome;
using platform::Refusal;
using platform::Section;
using platform::SectionTraits;
using platform::Status;

namespace {

/** Views are at most this long, for the reason of kWindowSizeMax; what lies before them on their first page comes on top. */
constexpr double kViewSizeMax = 1073741824.0;
constexpr double kGranularityMax = 65536.0;
/** Of a file, and so of a section: what the systems' offsets reach to. */
constexpr uint64_t kSizeMax = INT64_MAX;

const char* refusalName(Refusal refusal) {
  switch (refusal) {
    case Refusal::none: return "";
    case Refusal::emptyFile: return "emptyFile";
    case Refusal::notGrowable: return "notGrowable";
    case Refusal::noSuchName: return "noSuchName";
    case Refusal::foreignName: return "foreignName";
    case Refusal::movedFile: return "movedFile";
    case Refusal::addressTaken: return "addressTaken";
    case Refusal::notHanded: return "notHanded";
  }
  return "";
}

/** An enumeration's value, by its index. */
template <typename Value>
Value choice(Arguments& arguments, const char* name, Value last) {
  return static_cast<Value>(arguments.integer(name, static_cast<double>(last)));
}

SectionTraits readTraits(Arguments& arguments) {
  SectionTraits traits;
  traits.backing = choice(arguments, "backing", platform::Backing::memory);
  traits.size = arguments.wide("size");
  traits.protection = choice(arguments, "protection", platform::Protection::writecopy);
  traits.path = arguments.text("path");
  traits.name = arguments.text("name");
  traits.machineWide = arguments.flag("machineWide");
  traits.start = arguments.wide("start");
  // So that no sum of the two, nor of one and a place in the section, wraps around.
  if (!arguments.bad() && (traits.size == 0 || traits.size > kSizeMax || traits.start > kSizeMax - traits.size)) {
    arguments.refuse("start and size", "within 2^63 - 1");
  }
  return traits;
}

Napi::Value createSection(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  platform::SectionRequest request;
  request.backing = choice(arguments, "backing", platform::Backing::memory);
  request.path = arguments.text("path");
  request.disposition = choice(arguments, "disposition", platform::Disposition::openOrCreate);
  request.size = arguments.wide("size");
  request.protection = choice(arguments, "protection", platform::Protection::writecopy);
  request.name = arguments.text("name");
  request.machineWide = arguments.flag("machineWide");
  request.mode = arguments.word("mode");
  if (arguments.bad()) return Napi::Value();
  Section section;
  bool existed = false;
  const Outcome outcome = platform::createSection(request, &section, &existed);
  if (!outcome.ok()) {
    throwOutcome(env, outcome, request.path.empty() ? request.name : request.path);
    return Napi::Value();
  }
  Napi::Object result = Napi::Object::New(env);
  const Napi::Value made = SectionObject::make(env, std::move(section));
  if (made.IsEmpty()) return made;
  result.Set("section", made);
  result.Set("existed", existed);
  return result;
}

Napi::Value openSection(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const std::string name = arguments.text("name");
  const bool machineWide = arguments.flag("machineWide");
  const bool forWrite = arguments.flag("forWrite");
  if (arguments.bad()) return Napi::Value();
  Section section;
  const Outcome outcome = platform::openSection(name, machineWide, forWrite, &section);
  if (outcome.ok()) return SectionObject::make(env, std::move(section));
  throwOutcome(env, outcome, name);
  return Napi::Value();
}

Napi::Value receiveInherited(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const uint64_t number = arguments.integer("number");
  const std::string identity = arguments.text("identity");
  const SectionTraits traits = readTraits(arguments);
  if (arguments.bad()) return Napi::Value();
  Section section;
  const Outcome outcome = platform::receiveInherited(static_cast<int64_t>(number), traits, identity, &section);
  if (outcome.ok()) return SectionObject::make(env, std::move(section));
  throwOutcome(env, outcome, "");
  return Napi::Value();
}

Napi::Value receiveHanded(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const std::string address = arguments.text("address");
  const uint32_t limitMs = arguments.word("limitMs");
  const SectionTraits traits = readTraits(arguments);
  if (arguments.bad()) return Napi::Value();
  Section section;
  const Outcome outcome = platform::receiveHanded(address, traits, limitMs, &section);
  if (outcome.ok()) return SectionObject::make(env, std::move(section));
  throwOutcome(env, outcome, "");
  return Napi::Value();
}

/** What a child is to inherit. The section is a user of its name until the child is one itself. */
struct Inheritable {
  std::shared_ptr<Section> section;
  platform::File handle;
};

/** When the child has received what `inherit` readied. Twice is fine. */
void closeHandle(const Napi::CallbackInfo& info) {
  if (!info[0].IsExternal()) return;
  Inheritable& inheritable = *info[0].As<Napi::External<Inheritable>>().Data();
  inheritable.handle.close();
  inheritable.section.reset();
}

/** Tells this process from all others, in every thread of it. */
const std::string& processMark() {
  static const std::string mark = [] {
    std::string digits;
    platform::randomHex(&digits);
    return digits;
  }();
  return mark;
}

}  // namespace

void throwOutcome(Napi::Env env, const Outcome& outcome, const std::string& pathGiven) {
  const std::string& path = outcome.path.empty() ? pathGiven : outcome.path;
  const Napi::Value error = outcome.status.ok() ? Napi::Error::New(env, refusalName(outcome.refusal)).Value()
                                                : statusError(env, outcome.status, path);
  if (outcome.refusal != Refusal::none && error.IsObject()) {
    error.As<Napi::Object>().Set("refusal", refusalName(outcome.refusal));
    if (!outcome.path.empty()) error.As<Napi::Object>().Set("path", outcome.path);
  }
  // An exception may be pending already if making the error failed; that one goes on.
  if (!env.IsExceptionPending()) napi_throw(env, error);
}

void defineSections(Napi::Env env, Napi::Object exports) {
  Addon& addon = addonOf(env);
  addon.sectionClass = Napi::Persistent(SectionObject::define(env));
  addon.sectionViewClass = Napi::Persistent(SectionViewObject::define(env));
  exports.Set("createSection", Napi::Function::New<createSection>(env, "createSection"));
  exports.Set("openSection", Napi::Function::New<openSection>(env, "openSection"));
  exports.Set("receiveInherited", Napi::Function::New<receiveInherited>(env, "receiveInherited"));
  exports.Set("receiveHanded", Napi::Function::New<receiveHanded>(env, "receiveHanded"));
  exports.Set("closeHandle", Napi::Function::New<closeHandle>(env, "closeHandle"));
  exports.Set("processMark", processMark());
  exports.Set("memoryPageSize", static_cast<double>(platform::memoryPageSize()));
  exports.Set("allocationGranularity", static_cast<double>(platform::allocationGranularity()));
}

void endSections(Addon& addon) {
  // Finalizers of ArrayBuffers don't run any more, so views would keep the names of their sections.
  for (const std::weak_ptr<Section>& weak : addon.sections) {
    const std::shared_ptr<Section> section = weak.lock();
    if (section == nullptr) continue;
    Section leaving;
    leaving.traits.name = section->traits.name;
    leaving.nameUse = std::move(section->nameUse);
    leaving.handle = std::move(section->handle);
  }
  addon.sections.clear();
}

void endHandings(Addon& addon) {
  auto& handings = addon.handings;
  const auto isOver = [](const std::unique_ptr<platform::Handing>& handing) { return handing->ended(); };
  handings.erase(std::remove_if(handings.begin(), handings.end(), isOver), handings.end());
}

Napi::Function SectionObject::define(Napi::Env env) {
  return DefineClass(env, "Section",
                     {
                         InstanceMethod<&SectionObject::traits>("traits"),
                         InstanceMethod<&SectionObject::takeFaults>("takeFaults"),
                         InstanceMethod<&SectionObject::map>("map"),
                         InstanceMethod<&SectionObject::inherit>("inherit"),
                         InstanceMethod<&SectionObject::hand>("hand"),
                         InstanceMethod<&SectionObject::close>("close"),
                     });
}

Napi::Value SectionObject::make(Napi::Env env, Section section) {
  auto shared = std::make_shared<Section>(std::move(section));
  auto& sections = addonOf(env).sections;
  if (sections.size() == sections.capacity()) {
    const auto isGone = [](const std::weak_ptr<Section>& weak) { return weak.expired(); };
    sections.erase(std::remove_if(sections.begin(), sections.end(), isGone), sections.end());
  }
  sections.push_back(shared);
  return addonOf(env).sectionClass.New({Napi::External<std::shared_ptr<Section>>::New(env, &shared)});
}

SectionObject::SectionObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SectionObject>(info) {
  if (!info[0].IsExternal()) {
    Napi::TypeError::New(info.Env(), "addon: sections are made by createSection and its like").ThrowAsJavaScriptException();
    return;
  }
  section_ = *info[0].As<Napi::External<std::shared_ptr<Section>>>().Data();
  faults_ = std::make_shared<guard::FaultWord>(0);
}

bool SectionObject::isOpen(Napi::Env env) const {
  if (section_ != nullptr) return true;
  Napi::Error::New(env, "addon: the section is closed").ThrowAsJavaScriptException();
  return false;
}

Napi::Value SectionObject::traits(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!isOpen(env)) return Napi::Value();
  const SectionTraits& traits = section_->traits;
  Napi::Object result = Napi::Object::New(env);
  result.Set("backing", static_cast<double>(traits.backing));
  result.Set("size", Napi::BigInt::New(env, traits.size));
  result.Set("protection", static_cast<double>(traits.protection));
  result.Set("path", traits.path);
  result.Set("name", traits.name);
  result.Set("machineWide", traits.machineWide);
  result.Set("start", Napi::BigInt::New(env, traits.start));
  return result;
}

Napi::Value SectionObject::takeFaults(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), faults_ == nullptr ? 0 : faults_->exchange(0));
}

Napi::Value SectionObject::map(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const uint64_t at = arguments.wide("at");
  const uint64_t length = arguments.integer("length", kViewSizeMax + kGranularityMax);
  const uint64_t skip = arguments.integer("skip", kGranularityMax);
  const platform::ViewAccess access = choice(arguments, "access", platform::ViewAccess::copy);
  const uint64_t wanted = arguments.wide("wanted");
  if (arguments.bad() || !isOpen(env)) return Napi::Value();
  const SectionTraits& traits = section_->traits;
  const size_t granularity = platform::allocationGranularity();
  if (at % granularity != 0 || wanted % granularity != 0) arguments.refuse("at and wanted", "multiples of the granularity");
  if (length <= skip || length > traits.size || at > traits.size - length) arguments.refuse("length", "inside the section");
  if (access == platform::ViewAccess::write && traits.protection != platform::Protection::readwrite) {
    arguments.refuse("access", "allowed by the protection");
  }
  if (arguments.bad()) return Napi::Value();
  std::shared_ptr<SectionView> view;
  const Outcome outcome = SectionView::map(section_, at, static_cast<size_t>(length), access,
                                           reinterpret_cast<void*>(static_cast<uintptr_t>(wanted)), faults_, &view);
  if (!outcome.ok()) {
    throwOutcome(env, outcome, traits.path);
    return Napi::Value();
  }
  SectionViewObject::Adoption adoption{std::move(view), traits.path, static_cast<size_t>(skip)};
  return addonOf(env).sectionViewClass.New({Napi::External<SectionViewObject::Adoption>::New(env, &adoption)});
}

Napi::Value SectionObject::inherit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const bool readOnly = arguments.flag("readOnly");
  if (arguments.bad() || !isOpen(env)) return Napi::Value();
  auto inheritable = std::make_unique<Inheritable>();
  inheritable->section = section_;
  Outcome outcome = platform::inheritSection(*section_, readOnly, &inheritable->handle);
  std::string identity;
  if (outcome.ok()) outcome.status = platform::sectionIdentity(inheritable->handle, &identity);
  if (!outcome.ok()) {
    throwOutcome(env, outcome, section_->traits.path);
    return Napi::Value();
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("number", static_cast<double>(inheritable->handle.handle()));
  result.Set("identity", identity);
  // Forgotten, it is closed when it is collected.
  const auto forget = [](Napi::Env, Inheritable* forgotten) { delete forgotten; };
  result.Set("handle", Napi::External<Inheritable>::New(env, inheritable.release(), forget));
  return result;
}

Napi::Value SectionObject::hand(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info);
  const bool readOnly = arguments.flag("readOnly");
  const uint64_t pid = arguments.integer("pid", 4294967295.0);
  const uint32_t limitMs = arguments.word("limitMs");
  if (arguments.bad() || !isOpen(env)) return Napi::Value();
  Addon& addon = addonOf(env);
  const auto onEnd = [reports = addon.reports] { report(reports, Report{kHandingEnded, false, false, Status{}}); };
  std::unique_ptr<platform::Handing> handing;
  std::string address;
  const Outcome outcome = platform::handSection(section_, readOnly, static_cast<int64_t>(pid), limitMs, onEnd, &handing,
                                                &address);
  if (!outcome.ok()) {
    throwOutcome(env, outcome, section_->traits.path);
    return Napi::Value();
  }
  if (handing != nullptr) addon.handings.push_back(std::move(handing));
  return Napi::String::New(env, address);
}

void SectionObject::close(const Napi::CallbackInfo&) { section_.reset(); }

}  // namespace foliodb
