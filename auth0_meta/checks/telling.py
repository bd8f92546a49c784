"""Which key names say that a secret, a card number or a national id is under them; PURE."""

from __future__ import annotations

import functools
from typing import Final, Literal, TypeAlias

from auth0_meta.checks.words import LONGEST, words

Telling: TypeAlias = Literal["", "secret", "token", "card", "person", "perhaps a person", "another number"]
"""What a key says of the text under it.

"secret": any text is one.  "token": one that looks random is.  "card", "person": one with enough digits is a card number
or a national id.  "perhaps a person": one with a valid check digit is a national id.  "another number": digits are
something else, such as an order or a telephone.  "": nothing.
"""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# All are compared in lower case and without what joins words: client_secret, clientSecret and CLIENT-SECRET are one.
_SECRET: Final = _names("""
    accesskeysecret accesstoken accountkey apikey apikeys apisecret apitoken appsecret authtoken backupcode backupcodes
    bearertoken clientsecret clientsecrets connectionstring consumersecret contraseña credential credentials cvc cvc2 cvv cvv2
    encryptionkey hashedpassword hmackey idtoken kennwort lösenord losenord masterkey masterpassword mfasecret mnemonic
    motdepasse otpsecret otpseed parola paroladordine passcode passord passphrase passwd passwort password passwordhash
    passwords passwordhashed passwdhash privatekey privatekeys pwd pwdhash recoverycode recoverycodes
    refreshtoken refreshtokens salasana secret secretaccesskey secretanswer secretkey secrets securityanswer securitycode
    seedphrase senha sessionsecret sharedsecret signingkey signingsecret socialsecuritynumber sshkey sshprivatekey ssn storagekey
    totpsecret totpseed dbpass userpass smtppass ftppass adminpass rootpass пароль tunnusluku wachtwoord webhooksecret adgangskode
""")
# Names of one word end with them: dbpassword.
_SECRET_ENDINGS: Final = (
    "accesstoken",
    "apikey",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secretkey",
)
# A name with one of these says something about a secret and doesn't hold it.
_ABOUT: Final = _names("""
    allow allowed can change changed enabled expired expires expiry force forced forgot forgotten has hide hint is lost must
    need needs no policy prompt public require required requires reset resets set show strength updated use uses valid was without
""")
_TOKEN: Final = _names("""
    accesskey authorization bearer clientassertion jwt magiclink otp token tokens tokenvalue
""")
# Tokens that address a device: they are state of the device, see placement.
_OF_DEVICES: Final = _names("apn apns device expo fcm firebase notification onesignal push registration")
_CARD: Final = _names("""
    cardno cardnr cardnum cardnumber cardnumbers ccn ccnum ccnumber creditcard creditcardno creditcardnr creditcardnumber
    creditcards debitcard debitcardnumber kartennummer korttinumero kortnummer kreditkarte kreditkartennummer kredittkort
    luottokortti luottokorttinumero maksukortti numerocarte numerodetarjeta numerotarjeta pan paymentcard paymentcardnumber
    primaryaccountnumber tarjeta cartedecredit creditkaart creditkaartnummer kreditkort kreditkortsnummer card cards cc
""")
_PERSON: Final = _names("""
    identitycard idcard rut sin nie nif nin tfn taxfilenumber taxpayerid taxpayernumber
    aadhaar aadhaarno aadhaarnumber aadhar aadharnumber ahv ahvnummer ahvnumber avsnumber amka asmenskodas bsn bsnnummer
    burgerservicenummer cccd cedula citizenid citizenservicenumber cnp codicefiscale cpf cpfnumber cpr cprnr cprnumber cprnummer
    cuil curp dni dninie dninumber documentonacional driverlicense driverlicensenumber driverslicense driverslicensenumber
    drivinglicence drivinglicencenumber egn emiratesid emso fiscalcode fnr fodselsnr fodselsnummer fødselsnr fødselsnummer
    fydselsnummer governmentid governmentidnumber henkilotunnus henkilötunnus hetu hkid iban ibannumber identitycardnumber
    idcardnumber insee inseenumber insz isikukood jmbg kennitala kontonummeriban medicarenumber mynumber nationalid nationalidno
    nationalidnr nationalidnumber nationalidentificationnumber nationalidentitynumber nationalinsurancenumber nationalinsuranceno
    nationalinsurance nationalnumber nhsno nhsnumber nino ninumber niss nric nricfin nss numerodesecuritesociale
    numerosecuritesociale numerosecu oib passport passportno passportnr passportnumber passnummer passinumero passeport
    numeropasseport pasaporte pasporttinumero paspoortnummer peselnumber pesel personbeteckning personennummer personnr
    personnummer personalausweis personalausweisnummer personaskods ppsn ppsnumber reisepass reisepassnummer
    residentid residentidnumber rijksregisternummer rodnecislo rodnécíslo samordningsnummer securitesociale sinnumber
    socialinsurancenumber socialsecurity socialsecurityno socialsecuritynr socialsecurityid sosiaaliturvatunnus sotu
    sozialversicherungsnummer ssnlast9 ssnnumber steueridentifikationsnummer steuerid steuernummer svnr tckimlik tckimlikno
    tckn teudatzehut usssn ukni utr residentregistrationnumber rrn socialinsurance numerodeseguridadsocial
    numeroseguridadsocial seguridadsocial numerodeidentidad documentodeidentidad carteidentite numerocarteidentite
""")
_PERHAPS_PERSON: Final = _names("""
    cf documentid documentno documentnumber fin govid identification identificationnumber identitycode identityno
    identitynumber idno idnr idnumber individualnumber insuranceno insurancenumber nationalcode nationalidentifier nic
    pancard pannumber personalcode personalid personalidcode personalidentificationnumber personalidentitycode
    personalidentitynumber personalno personalnr personalnumber personcode personid personnumber pnr sofinummer taxcode taxid
    taxidnumber taxno taxnumber tin tinnumber legalid kycid legalidnumber
""")
_OTHER: Final = _names("""
    amount barcode build checksum count date digest discord ean epoch etag external extension fax gtin hash iccid id ids identifier imei imsi
    inventory invoice invoices isbn issn lat latitude legacy lng lon longitude md5 meid mobile ms msisdn nonce oid order orders phone phones
    puhelin receipt ref reference references serial sha sha1 sha256 sha512 shipment sku sms snowflake steam tel telephone telefon ticket
    time times timestamp timestamps tracking transaction ts uid unix upc uri url urls uuid version whatsapp zip at matkapuhelin
    telefono téléphone telefone puhelinnumero handy mobil
""")


def telling(key: str, /) -> Telling:
    """Return what the name of a key says of the text under it.

    >>> telling("clientSecret"), telling("secretary"), telling("henkilotunnus"), telling("order_id")
    ('secret', '', 'person', 'another number')
    """
    return _telling(key[:LONGEST])


@functools.lru_cache(4096)  # of short texts, so that the cache stays small
def _telling(key: str) -> Telling:
    parts = words(key)
    joined = "".join(parts)
    # Other words may stand before a name: github_access_token, customerSSN.
    ends = {"".join(parts[n:]) for n in range(max(len(parts) - 5, 0), len(parts))}
    if (not ends.isdisjoint(_SECRET) or joined.endswith(_SECRET_ENDINGS)) and _ABOUT.isdisjoint(parts):
        return "secret"
    for names, what in _NAMES:
        if not ends.isdisjoint(names):
            return what
    if not ends.isdisjoint(_TOKEN) and _OF_DEVICES.isdisjoint(parts):
        return "token"
    return "" if _OTHER.isdisjoint(parts) else "another number"


_NAMES: Final[tuple[tuple[frozenset[str], Telling], ...]] = (
    (_PERSON, "person"), (_CARD, "card"), (_PERHAPS_PERSON, "perhaps a person"),
)  # fmt: skip
