"""Every setting: its environment variable (`BATOS_` + name), its default, and what it allows.

Values come from the environment first, then from `batos.toml` in `BATOS_HOME`, then from the defaults here. A wrong
value raises `BadSetting` with the name, the value and what is allowed. `docs/settings.md` shows the same table.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import AliasChoices, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from batos.errors import BadSetting

MIB = 1 << 20
CAPABILITIES = ("search",)
"""Primitives that methods may be granted: they change no object."""
PERSONAS = ("ALFRED", "BRICK", "ROBIN", "BABS")

Positive = Annotated[int, Field(gt=0)]
PositiveSeconds = Annotated[float, Field(gt=0)]


def _setting(default: Any, meaning: str, **limits: Any) -> Any:
    return Field(default, description=meaning, **limits)


class Settings(BaseSettings):
    """The settings of one process; read once at its start with `Settings.load()`."""

    model_config = SettingsConfigDict(env_prefix="BATOS_", case_sensitive=False, extra="ignore", frozen=True)

    home: Path = _setting(Path(), "the folder that holds the state; relative paths below are relative to it")
    db_file: str = _setting("live_image.fs", "the Living Image")
    blob_dir: str = _setting("live_image.fs.blob", "blobs: weights, adapters")
    zmq_endpoint: str = _setting(
        "tcp://127.0.0.1:5555", "the Synaptic Bridge; tcp:// or ipc://", pattern=r"^(tcp|ipc)://.+"
    )
    persona_models: Annotated[dict[str, str] | str, NoDecode] = _setting(
        "", "a JSON mapping persona → model, or one model for all: a catalog name, a file or folder, or a hub id"
    )
    default_persona_model: Literal["ALFRED", "BRICK", "ROBIN", "BABS"] = _setting(
        "ALFRED", "the persona whose model is loaded after the start"
    )
    lora_staging_dir: Path = _setting(Path("lora_adapters"), "adapters found here are taken into the image")
    sentence_transformer_model: str = _setting("all-MiniLM-L6-v2", "chunking and semantic search")
    metacognition_log_file: Path = _setting(Path("metacognition.jsonl"), "the audit trail")
    persona_codex_file: Path = _setting(Path("persona_codex.jsonl"), "what the first awakening learns")
    llama_model_path: Path | None = _setting(
        None,
        "GGUF file for the client's translator; unset: the default weights from the cache",
        validation_alias=AliasChoices("BATOS_LLAMA_MODEL_PATH", "LLAMA_MODEL_PATH", "llama_model_path"),
    )
    engine: str = _setting(
        "auto",
        "auto, transformers, llama.cpp, openai or scripted:FILE",
        pattern=r"^(auto|transformers|llama\.cpp|openai|scripted:.+)$",
    )
    openai_base_url: str = _setting(
        "http://127.0.0.1:8080/v1",
        "the server of the openai engine",
        validation_alias=AliasChoices("BATOS_OPENAI_BASE_URL", "OPENAI_BASE_URL", "openai_base_url"),
    )
    openai_api_key: str = _setting(
        "",
        "the key of the openai engine",
        validation_alias=AliasChoices("BATOS_OPENAI_API_KEY", "OPENAI_API_KEY", "openai_api_key"),
        repr=False,
    )
    translator: Literal["client", "kernel", "rules"] = _setting("client", "who turns words into briefs")
    weights_cache: Path = _setting(
        Path(platformdirs.user_cache_dir("batos", appauthor=False)) / "weights",
        "downloaded weights, shared by all images",
    )
    workers: Positive = _setting(4, "missions in progress at once")
    memory_budget: Annotated[int, Field(ge=0)] = _setting(0, "bytes for loaded models; 0: 70 % of the device's memory")
    model_idle_seconds: Annotated[float, Field(ge=0)] = _setting(
        1800, "models that nobody asked for so long leave memory, pinned ones excepted; 0: they stay"
    )
    heartbeat_seconds: PositiveSeconds = _setting(3600, "the autotelic heartbeat")
    self_missions: Literal["off", "on"] = _setting("off", "whether the heartbeat may start missions of its own making")
    attempts: Positive = _setting(4, "attempts of a cycle at a method")
    candidates: Positive = _setting(4, "candidates sampled in one attempt")
    max_new_tokens: Positive = _setting(2048, "tokens of one answer")
    cycle_tokens: Positive = _setting(16384, "tokens that a cycle may write in all")
    cycle_seconds: PositiveSeconds = _setting(900, "time of a cycle, waiting for an approval not counted")
    failure_limit: Annotated[int, Field(ge=0)] = _setting(
        3,
        "failures of a version of a method before it is repaired, twice as many in a row before it is shut off; 0: never",
    )
    record_every: Annotated[int, Field(ge=0)] = _setting(
        20, "one in so many good calls is kept for the harm rule; 0: none"
    )
    retention_days: Annotated[float, Field(ge=0)] = _setting(30, "history kept by pack; method versions always stay")
    allowed_modules: Annotated[tuple[str, ...], NoDecode] = _setting(
        (), "modules that generated code may import, comma-separated; empty: the pure standard library"
    )
    grants: Annotated[tuple[str, ...], NoDecode] = _setting((), "capabilities that may be granted, comma-separated")
    grant_calls: Positive = _setting(16, "uses of a capability in one call, where a grant does not say")
    guardian_policy: Literal["strict", "warn"] = _setting(
        "strict", "warn: policy findings are recorded but stop nothing"
    )
    sandbox: Literal["auto", "full", "seatbelt", "job"] = _setting("auto", "the least level of the sandbox")
    call_seconds: PositiveSeconds = _setting(2, "time of one top-level call of generated code")
    call_memory_mb: Positive = _setting(192, "memory of a call, MiB")
    call_bytes: Positive = _setting(MIB, "bytes of a call's arguments, result and frames")
    call_depth: Positive = _setting(8, "nested sends of a call")
    call_requests: Positive = _setting(2000, "requests of one call to the kernel")
    call_slots: Positive = _setting(1000, "slot writes of one call")
    call_output: Positive = _setting(64 << 10, "bytes of what a call prints")
    call_objects: Positive = _setting(256, "new objects of one call")
    call_lessons: Annotated[int, Field(ge=0)] = _setting(
        2, "messages that one call may have learned on its way, because a method sent them and nobody understood"
    )
    hourly_lessons: Annotated[int, Field(ge=0)] = _setting(
        60, "such messages that all calls may have learned in an hour"
    )
    lesson_depth: Annotated[int, Field(ge=0)] = _setting(
        2,
        "how deep such missions may be nested: 1, what a method sends may be learned, but not what that sends; 0, nothing",
    )
    conflict_retries: Positive = _setting(8, "runs of a call whose objects others keep changing")
    sandbox_pool: Positive = _setting(3, "idle workers kept ready")
    sandbox_uid: Positive = _setting(65534, "user id of the workers when the kernel runs as root")
    approvals: Literal["off", "on"] = _setting("off", "ask before each install")
    max_message_bytes: Positive = _setting(16 * MIB, "bytes of one message on the bridge")
    queue_limit: Positive = _setting(1024, "requests waiting at once")
    curve: Literal["on", "off"] = _setting("on", "off only with an endpoint on loopback or ipc")
    stop_grace_seconds: PositiveSeconds = _setting(10, "the watchdog's patience on a stop")
    upgrade_grace_seconds: PositiveSeconds = _setting(30, "the watchdog's patience on an upgrade")
    watch_seconds: PositiveSeconds = _setting(5, "how often the watchdog looks at the latest")
    ready_seconds: PositiveSeconds = _setting(
        300, "how long a kernel may take to its first answer before it is replaced"
    )
    restart_seconds: PositiveSeconds = _setting(60, "the longest pause between two restarts of the kernel")
    restart_limit: Positive = _setting(8, "ends of the kernel within the window that are tried again soon")
    restart_window_seconds: PositiveSeconds = _setting(300, "the window of RESTART_LIMIT")
    refused_seconds: PositiveSeconds = _setting(60, "the pause after an exit code that a restart cannot mend (3 to 6)")
    log_bytes: Positive = _setting(4 * MIB, "size at which run/kernel.log and run/watchdog.log start anew")
    archive_limit: Positive = _setting(10_000, "ended cycles kept in the image")
    hub_seconds: PositiveSeconds = _setting(3, "how long a model hub may take to answer at all")
    cache_objects: Positive = _setting(50_000, "objects in each image connection's cache")
    test_pause: str = _setting(
        "", "for tests: STATE:seconds, every cycle waits on entering that state", pattern=r"^$|^[A-Z]+:\d+(\.\d+)?$"
    )

    @classmethod
    def load(cls, **overrides: Any) -> Settings:
        """Read the settings from the environment and `batos.toml`.

        Raises:
            BadSetting: A value is wrong, or `batos.toml` cannot be read.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            raise _bad_setting(error) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before `batos.toml` before defaults."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, _TomlSource(settings_cls)

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("persona_models", mode="before")
    @classmethod
    def _models(cls, value: Any) -> Any:
        if isinstance(value, str) and value.lstrip().startswith("{"):
            import json

            try:
                value = json.loads(value)
            except ValueError:
                raise ValueError('a mapping must be JSON, like {"BRICK": "qwen2.5-coder-0.5b"}') from None
        if isinstance(value, dict):
            unknown = sorted(set(value) - set(PERSONAS))
            if unknown:
                raise ValueError(f"unknown persona {unknown[0]!r}; there are {', '.join(PERSONAS)}")
        return value

    @field_validator("zmq_endpoint", mode="after")
    @classmethod
    def _socket_in_home(cls, value: str, info: ValidationInfo) -> str:
        """Kernel, client and watchdog mean the same socket, whatever folder each was started in."""
        scheme, _, place = value.partition("://")
        home = info.data.get("home")
        if scheme != "ipc" or place.startswith("@") or not isinstance(home, Path):
            return value
        return f"ipc://{home / Path(place).expanduser()}"

    @field_validator("curve", mode="after")
    @classmethod
    def _open_at_home_only(cls, value: str, info: ValidationInfo) -> str:
        if value == "off" and not _is_local(str(info.data.get("zmq_endpoint", ""))):
            raise ValueError("without keys the endpoint must be on loopback or ipc")
        return value

    @field_validator("grants", mode="after")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - set(CAPABILITIES)):
            raise ValueError(f"there is no capability {unknown[0]!r}; there are: {', '.join(CAPABILITIES)}")
        return value

    @field_validator("allowed_modules", "grants", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    def path(self, value: str | Path) -> Path:
        """A path of these settings, made absolute by `BATOS_HOME`."""
        return self.home / Path(value).expanduser()

    @property
    def image_path(self) -> Path:
        """Where the image lies."""
        return self.path(self.db_file)

    @property
    def blob_path(self) -> Path:
        """Where the image's blobs lie."""
        return self.path(self.blob_dir)

    @property
    def keys_path(self) -> Path:
        """Where the bridge's keys lie."""
        return self.home / "keys"

    @property
    def scripted_file(self) -> Path | None:
        """The script of the scripted engine, None with any other engine."""
        return self.path(self.engine.partition(":")[2]) if self.engine.startswith("scripted:") else None


def _is_local(endpoint: str) -> bool:
    """Tell whether an endpoint can be reached from this machine alone."""
    if endpoint.startswith("ipc://"):
        return True
    try:
        host = urlsplit(endpoint).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _TomlSource(PydanticBaseSettingsSource):
    """Reads `batos.toml` in BATOS_HOME; names may be written in either case."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Not used: the file is read as a whole."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        file = Path(os.environ.get("BATOS_HOME", ".")).expanduser() / "batos.toml"
        if not file.is_file():
            return {}
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadSetting(f"{file} cannot be read: {error}", "Mend the file, or remove it.") from None
        named = {key.lower().removeprefix("batos_"): value for key, value in values.items()}
        unknown = sorted(set(named) - set(Settings.model_fields))
        if unknown:
            raise BadSetting(f"{file} names an unknown setting {unknown[0].upper()}")
        return {key: ",".join(value) if isinstance(value, list) else value for key, value in named.items()}


def _bad_setting(error: ValidationError) -> BadSetting:
    first = error.errors()[0]
    name = str(first["loc"][0]).upper().removeprefix("BATOS_") if first["loc"] else "?"
    field = Settings.model_fields.get(name.lower())
    allowed = f" It is {field.description}." if field is not None and field.description else ""
    return BadSetting(f"BATOS_{name} has the value {first['input']!r}, which is wrong: {first['msg']}.{allowed}")
