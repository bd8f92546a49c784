"""What harmless users of a believable tenant have in their bags: varied, in many languages, and full of near misses.

Every topic below is a function that draws the values of a few keys. Nothing here deserves a finding: names only resemble
reserved or telling ones, numbers only resemble cards, and all lists and values stay inside the limits.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from random import Random
from typing import Any

Bag = dict[str, Any]
Topic = Callable[[Random], Bag]

FIRST = ("Ada", "Grace", "José", "Zoë", "Łukasz", "Søren", "Nguyễn", "Мария", "美咲", "محمد", "יעל", "Ayşe", "Pádraig", "Olu")  # fmt: skip
LAST = ("Lovelace", "Hopper", "García Márquez", "O'Brien", "Müller-Lüdenscheidt", "Иванова", "田中", "الهاشمي", "Smith", "Nwosu")  # fmt: skip
CITIES = (
    "Köln",
    "Paris",
    "São Paulo",
    "Warszawa",
    "東京",
    "القاهرة",
    "Reykjavík",
    "Portland",
    "Wien",
    "København",
)
SENTENCES = (
    "I collect rain gauges and write about weather.",
    "Ich sammle Fahrpläne und backe sonntags Brot.",
    "Lectrice du soir, marcheuse du matin.",
    "Eyjafjallajökull is the volcano I can pronounce.",
    "毎朝五時に起きて、川沿いを走ります。",
    "Люблю старые карты и чёрный чай.",
    "أحب القراءة والسفر في الربيع.",
    "Coffee ☕, cats 🐈‍⬛ and 3,000 puzzle pieces 🧩.",
    "My password to happiness: a nap. The secret is butter.",
    "Born 1984, moved 4 times, 1111 books on the shelf.",
    "जीवन सरल है, हम उसे कठिन बनाते हैं।",
    "Tab\tand \"quotes\", back\\slash and a line\nbreak.",
)  # fmt: skip
WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "haven",
    "iris",
    "juniper",
    "kestrel",
    "lumen",
    "maple",
    "nectar",
    "onyx",
    "pebble",
    "quartz",
]
LANGUAGES = [
    "ar",
    "da",
    "de",
    "el",
    "en",
    "es",
    "fi",
    "fr",
    "he",
    "hi",
    "it",
    "ja",
    "ko",
    "nl",
    "pl",
    "pt",
    "ru",
    "sv",
    "th",
    "tr",
    "uk",
    "vi",
    "zh",
]


def token(chance: Random, length: int, alphabet: str = "0123456789abcdef") -> str:
    """Return random text of a length."""
    return "".join(chance.choices(alphabet, k=length))


def uid(chance: Random) -> str:
    """Return a random UUID as text."""
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def iso(chance: Random) -> str:
    """Return an instant in ISO 8601, as one program or another writes it."""
    day = f"20{chance.randint(15, 26):02}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
    clock = f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}"
    return day + chance.choice(
        [f"T{clock}Z", f"T{clock}.{chance.randint(0, 999):03}Z", f"T{clock}+02:00", ""]
    )


def prose(chance: Random, size: int) -> str:
    """Return sentences in several languages that take at most `size` bytes as JSON in UTF-8."""
    text = ""
    while (
        len(json.dumps(text + (part := chance.choice(SENTENCES) + " "), ensure_ascii=False).encode())
        + len(part)
        < size
    ):
        text += part
    return text or "Hi."


def luhn(digits: str) -> bool:
    """Return whether digits end with the check digit that cards have."""
    doubled = [int(d) * (2 - i % 2) if i % 2 == 0 else int(d) for i, d in enumerate(digits[::-1], start=1)]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def no_card(chance: Random, length: int, start: str = "") -> str:
    """Return digits of a length whose check digit is not that of a card."""
    while luhn(digits := start + token(chance, length - len(start), "0123456789")):
        pass
    return digits


def phone(chance: Random) -> str:
    """Return a phone number in one of the ways people write them; some have as many digits as a card."""
    area, line = chance.randint(201, 989), chance.randint(1000, 9999)
    return chance.choice([
        f"+49 1512 {no_card(chance, 13, '491512')[6:]}",
        f"+1 ({area}) 555-{line}",
        f"({area}) 555-{line}",
        f"{area}.555.{line}",
        f"1-{area}-555-{line}",
        f"+44 20 7946 {line}",
        f"0049{no_card(chance, 11, '151')}",
        f"+81-3-{line}-{chance.randint(1000, 9999)}",
        f"+33 1 23 45 {chance.randint(10, 99)} {chance.randint(10, 99)}",
        f"+55 11 9{line}-{chance.randint(1000, 9999)}",
        f"+86 139 {line} {chance.randint(1000, 9999)}",
    ])  # fmt: skip


# What users and their applications keep in user_metadata.
USER: tuple[Topic, ...] = (
    lambda r: {"first_name": r.choice(FIRST), "last_name": r.choice(LAST)},
    lambda r: {"givenName": r.choice(FIRST), "familyName": r.choice(LAST), "nickname": r.choice(WORDS)},
    lambda r: {"phone": phone(r)},
    lambda r: {"mobile_phone": phone(r), "phone_verified": r.random() < 0.5},
    lambda r: {"age": r.randint(18, 90)},
    lambda r: {"score": r.choice([r.randint(0, 100), round(r.random() * 100, 2)])},
    lambda r: {"newsletter": r.random() < 0.5, "newsletter_topics": r.sample(WORDS, r.randint(0, 5))},
    lambda r: {"tags": r.sample(WORDS, r.randint(1, 8))},
    lambda r: {"preferences": {"theme": r.choice(["dark", "light"]), "font_size": r.randint(10, 20)}},
    lambda r: {"favorite_color": r.choice(["teal", "#ff8800", "Blau", "赤"]), "lieblingsgröße": r.choice("SML")},
    lambda r: {"address": {
        "address_line_1": f"{r.choice(WORDS).title()} Street {r.randint(1, 900)}", "address_line_2": r.choice([None, "c/o Nwosu"]),
        "city": r.choice(CITIES), "zip": f"{r.randint(10000, 99999)}-{r.randint(1000, 9999)}", "administrative_area": "Bavaria"}},
    lambda r: {"addresses": [
        {"label": r.choice(["home", "work"]), "city": r.choice(CITIES), "zip": f"{r.randint(10000, 99999)}"} for _ in range(r.randint(0, 4))]},
    lambda r: {"consentGiven": True, "consentTimestamp": r.randint(1_500_000_000_000, 1_790_000_000_000)},
    lambda r: {"consents": [{"id": r.choice(WORDS), "version": f"{r.randint(1, 9)}.{r.randint(0, 9)}", "accepted_at": iso(r)} for _ in range(r.randint(1, 12))]},
    lambda r: {"locale": r.choice(["de-DE", "en-US", "pt-BR", "zh-Hant-TW"]), "timezone": r.choice(["Europe/Berlin", "UTC", "America/Sao_Paulo"])},
    lambda r: {"bio": prose(r, r.choice([80, 200, 400]))},
    lambda r: {"role_model": r.choice(["Grace Hopper", "my grandmother"]), "meal_plan": r.choice(["vegan", "omnivore"])},
    lambda r: {"permissions_dialog_seen": r.random() < 0.9, "plan_view": r.choice(["week", "month"]), "planet": "Mars"},
    lambda r: {"device_preference": r.choice(["mobile", "desktop"]), "roleplay_character": r.choice(["elf", "bard"])},
    lambda r: {"emails_per_week": r.randint(0, 7), "horoscope_sign": "Leo", "scroll_speed": r.random()},
    lambda r: {"utm_source": r.choice(["newsletter", "google"]), "utm_campaign": f"spring-{r.randint(1, 9)}"},
    lambda r: {"2fa_enabled": r.random() < 0.5, "oauth2": r.random() < 0.1, "v1": {"migrated": True}, "covid19_reminder": False},
    lambda r: {"q1_goal": r.choice(WORDS), "q2_goal": None, "step_1": "done", "step_2": r.choice(["done", "open"]), "top_10_seen": True},
    lambda r: {"facade": r.choice(WORDS), "decade": r.choice(["80s", "90s"]), "cafe": r.choice(WORDS), "faded": False},
    lambda r: {"onboarding": {"completed": r.random() < 0.7, "completedSteps": r.sample(["profile", "team", "billing", "tour"], 3), "at": iso(r)}},
    lambda r: {"notifications": {name: r.random() < 0.5 for name in r.sample(["email", "sms", "push", "slack", "letter", "pigeon"], 4)}},
    lambda r: {"translations": {code: r.randint(0, 40) for code in r.sample(LANGUAGES, 4)}},
    lambda r: {"hasAcceptedTermsAndConditionsOfServiceVersion2": True, "iso3166CountryCode": r.choice(["DE", "BR"]), "isOver18": True},
    lambda r: {"preferred-contact": r.choice(["mail", "phone"]), "x-lang": r.choice(LANGUAGES), "Key With Spaces": 1, "a:b/c": "d"},
    lambda r: {"название": r.choice(WORDS), "住所": r.choice(CITIES), "عنوان": r.choice(CITIES), "prénom": r.choice(FIRST), "🍕_topping": "basil"},
    lambda r: {"password_changed_at": iso(r), "password_reset_required": False, "passwordless": True, "secret_santa_opt_in": True},
    lambda r: {"card_last4": f"{r.randint(0, 9999):04}", "card_brand": "visa", "card_exp_year": r.randint(2027, 2033)},
    lambda r: {"ssn_verified": r.random() < 0.5, "passport_country": r.choice(["DE", "NG"]), "keyboard_layout": "dvorak", "token_count": r.randint(0, 9)},
    lambda r: {"last_order_id": no_card(r, 16), "orders": [f"ORD-{r.randint(2015, 2026)}-{r.randint(0, 999999):06}" for _ in range(r.randint(0, 20))]},
    lambda r: {"invoice_no": f"INV-{r.randint(1000, 9999)}-{r.randint(10, 99)}-{r.randint(1000, 9999)}", "loyalty_number": no_card(r, 16, "60")},
    lambda r: {"favorite_isbn": f"978-3-16-{r.randint(100000, 999999)}-{r.randint(0, 9)}", "scanned_ean": no_card(r, 13, "4")},
    lambda r: {"avatar_sha256": token(r, 64), "avatar_etag": f'W/"{token(r, 32)}"', "sha256": token(r, 64), "gravatar": token(r, 32)},
    lambda r: {"thumbnail": "data:image/png;base64," + base64.b64encode(r.randbytes(r.randint(60, 300))).decode()},
    lambda r: {"latitude": round(r.uniform(-90, 90), 6), "longitude": round(r.uniform(-180, 180), 6)},
    lambda r: {"website": f"https://{r.choice(WORDS)}.example.com/{r.choice(WORDS)}?utm_source=a&ref={r.randint(1, 999)}", "app_version": "10.4.111"},
    lambda r: {"employee_since": r.randint(1_000_000_000, 1_790_000_000), "shoe_size": r.choice([38, 42.5]), "numeric_text": str(r.randint(0, 10**12))},
    lambda r: {"saml_attributes": {"eduPersonPrincipalName": f"{r.choice(WORDS)}@uni.example", "sAMAccountName": r.choice(WORDS), "CostCenter": f"{r.randint(1, 9999):04}"}},
    lambda r: {"email": f"{r.choice(WORDS)}@example.org", "created_at": iso(r), "user_id": r.randint(1, 10**6)},  # reserved in app_metadata only
    lambda r: {"empty_list": [], "empty_object": {}, "empty_text": "", "nothing": None, "zero": 0, "no": False},
    lambda r: {"company_name": f"{r.choice(LAST)} & {r.choice(LAST)} GmbH", "job_title": r.choice(["Baker", "Head of Plans", "Admin Assistant"])},
    lambda r: {"quiz": {"started": iso(r), "answers": [[r.randint(0, 4), r.randint(0, 4)] for _ in range(r.randint(1, 9))]}},
)  # fmt: skip

# What applications keep in app_metadata; roles, permissions and plans are at home here.
APP: tuple[Topic, ...] = (
    lambda r: {"roles": r.sample(["admin", "editor", "viewer", "billing"], r.randint(1, 3))},
    lambda r: {"permissions": [f"{r.choice(['read', 'write'])}:{word}" for word in r.sample(WORDS, r.randint(1, 12))]},
    lambda r: {"plan": r.choice(["free", "pro", "team"]), "is_admin": r.random() < 0.1, "trial_ends_at": iso(r)},
    lambda r: {"authorization": {"groups": r.sample(WORDS, 2), "roles": ["member"], "permissions": []}},
    lambda r: {"internal_id": uid(r)},
    lambda r: {"stripe_customer_id": "cus_" + token(r, 14, "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789abcdefgh"), "hubspot_id": r.randint(10**5, 10**9)},
    lambda r: {"external_ids": {"salesforce": "0035e" + token(r, 13, "ABCDEF0123456789"), "erp": f"{r.randint(1, 9999999):07}", "zendesk": r.randint(1, 10**12)}},
    lambda r: {"tenant": r.choice(WORDS), "org": {"id": f"org_{token(r, 16)}", "name": r.choice(LAST)}},
    lambda r: {"crm": {"_id": token(r, 24), "email": f"{r.choice(WORDS)}@example.org", "created_at": iso(r), "blocked": False}},  # reserved at the first level only
    lambda r: {"emails": [f"{r.choice(WORDS)}@example.org"], "createdAt": iso(r), "user_ids": [r.randint(1, 99)], "login_count": r.randint(0, 900)},
    lambda r: {"didAnExpensiveTask": True, "recordedAsLead": r.random() < 0.5, "identity": r.choice(WORDS), "meta": {"v": 1}},
    lambda r: {"feature_flags": {f"{a}_{b}": r.random() < 0.5 for a in r.sample(WORDS[:6], 3) for b in r.sample(WORDS[6:12], 2)}},
    lambda r: {"audit": [{"at": r.randint(1_600_000_000, 1_790_000_000), "what": r.choice(WORDS)} for _ in range(r.randint(0, 30))]},
    lambda r: {"recent": [r.randint(0, 999) for _ in range(r.choice([1, 5, 20, 99, 100]))]},
    lambda r: {"linked_accounts": [{"provider": r.choice(["google-oauth2", "github"]), "id": str(r.randint(10**17, 10**18))} for _ in range(r.randint(0, 3))]},
    lambda r: {"signup": {"source": r.choice(["web", "ios"]), "utm_source": "ad", "ab_group": r.choice("AB"), "at": iso(r)}},
    lambda r: {"last_payment_intent": "pi_" + token(r, 24), "credit": round(r.uniform(-5, 500), 2), "currency": r.choice(["EUR", "JPY"])},
    lambda r: {"import": {"batch": uid(r), "row": r.randint(1, 10**6), "checksum": token(r, 40), "etag": f'"{token(r, 32)}"'}},
    lambda r: {"ssh_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + base64.b64encode(r.randbytes(32)).decode() + " me@example"},
    lambda r: {"level": r.choice([1, 2, 2.5]), "quota": {"used": r.random() * 10, "total": 10}},
    lambda r: {"department": r.choice(["R&D", "Büro", "人事"]), "employeeID": f"{r.randint(1, 99999):05}", "MAX_SEATS": r.randint(1, 500)},
    lambda r: {"note": prose(r, r.choice([60, 300]))},
    lambda r: {"migrated_from": "legacy-v2", "migrated_at": r.randint(1_600_000_000_000, 1_790_000_000_000), "legacy": {"pk": r.randint(1, 10**7), "flags": []}},
    lambda r: {"region": r.choice(["eu-west-1", "us-east-2"]), "shard": r.randint(0, 63), "cluster": {"a": {"b": {"c": {"d": r.randint(0, 9)}}}}},
)  # fmt: skip

# What makes a profile big and still leaves it inside every limit.
LARGE: tuple[tuple[str, Topic], ...] = (
    ("user_metadata", lambda r: {"about_me": prose(r, 1800)}),
    ("user_metadata", lambda r: {"cover": "data:image/webp;base64," + base64.b64encode(r.randbytes(1300)).decode()}),
    ("user_metadata", lambda r: {"bookmarks": [f"/{r.choice(WORDS)}/{n}" for n in range(100)]}),
    ("app_metadata", lambda r: {"events": [{"t": r.randint(1, 9), "n": r.choice(WORDS)} for _ in range(70)]}),
    ("app_metadata", lambda r: {"welcome_mail": prose(r, 1900)}),
)  # fmt: skip

RARE = [
    "vip_remark",
    "press_contact",
    "beta_cohort_note",
    "winter_gala_table",
    "founder_letter",
    "bike_parking_slot",
]
"""Fixed keys that hardly any user has: rare is not dynamic."""
