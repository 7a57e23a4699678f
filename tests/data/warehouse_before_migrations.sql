SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE SCHEMA analysis;

ALTER SCHEMA analysis OWNER TO moovitamix;

CREATE SCHEMA features;

ALTER SCHEMA features OWNER TO moovitamix;

CREATE SCHEMA gate;

ALTER SCHEMA gate OWNER TO moovitamix;

CREATE SCHEMA marts;

ALTER SCHEMA marts OWNER TO moovitamix;

CREATE SCHEMA ops;

ALTER SCHEMA ops OWNER TO moovitamix;

CREATE SCHEMA prep;

ALTER SCHEMA prep OWNER TO moovitamix;

CREATE SCHEMA staging;

ALTER SCHEMA staging OWNER TO moovitamix;

CREATE FUNCTION gate.refuse_to_change_decisions() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    raise exception 'decisions are never changed: record a new one';
end
$$;

ALTER FUNCTION gate.refuse_to_change_decisions() OWNER TO moovitamix;

CREATE FUNCTION gate.sign_decision() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    new.decided_at := now();
    new.decided_by := session_user;
    return new;
end
$$;

ALTER FUNCTION gate.sign_decision() OWNER TO moovitamix;

CREATE FUNCTION prep.normalized_text(value text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $_$
declare
    -- regular expressions and lower() of this collation know no locale
    folded text collate "C" := value;
begin
    if folded ~ '^[ -~]*$' then
        folded := lower(folded);
    else
        folded := normalize(folded, nfkc);
        select string_agg(coalesce($folds${"A": "a", "B": "b", "C": "c", "D": "d", "E": "e", "F": "f", "G": "g", "H": "h", "I": "i", "J": "j", "K": "k", "L": "l", "M": "m", "N": "n", "O": "o", "P": "p", "Q": "q", "R": "r", "S": "s", "T": "t", "U": "u", "V": "v", "W": "w", "X": "x", "Y": "y", "Z": "z", "\u00c0": "\u00e0", "\u00c1": "\u00e1", "\u00c2": "\u00e2", "\u00c3": "\u00e3", "\u00c4": "\u00e4", "\u00c5": "\u00e5", "\u00c6": "\u00e6", "\u00c7": "\u00e7", "\u00c8": "\u00e8", "\u00c9": "\u00e9", "\u00ca": "\u00ea", "\u00cb": "\u00eb", "\u00cc": "\u00ec", "\u00cd": "\u00ed", "\u00ce": "\u00ee", "\u00cf": "\u00ef", "\u00d0": "\u00f0", "\u00d1": "\u00f1", "\u00d2": "\u00f2", "\u00d3": "\u00f3", "\u00d4": "\u00f4", "\u00d5": "\u00f5", "\u00d6": "\u00f6", "\u00d8": "\u00f8", "\u00d9": "\u00f9", "\u00da": "\u00fa", "\u00db": "\u00fb", "\u00dc": "\u00fc", "\u00dd": "\u00fd", "\u00de": "\u00fe", "\u00df": "ss", "\u0100": "\u0101", "\u0102": "\u0103", "\u0104": "\u0105", "\u0106": "\u0107", "\u0108": "\u0109", "\u010a": "\u010b", "\u010c": "\u010d", "\u010e": "\u010f", "\u0110": "\u0111", "\u0112": "\u0113", "\u0114": "\u0115", "\u0116": "\u0117", "\u0118": "\u0119", "\u011a": "\u011b", "\u011c": "\u011d", "\u011e": "\u011f", "\u0120": "\u0121", "\u0122": "\u0123", "\u0124": "\u0125", "\u0126": "\u0127", "\u0128": "\u0129", "\u012a": "\u012b", "\u012c": "\u012d", "\u012e": "\u012f", "\u0130": "i\u0307", "\u0134": "\u0135", "\u0136": "\u0137", "\u0139": "\u013a", "\u013b": "\u013c", "\u013d": "\u013e", "\u0141": "\u0142", "\u0143": "\u0144", "\u0145": "\u0146", "\u0147": "\u0148", "\u014a": "\u014b", "\u014c": "\u014d", "\u014e": "\u014f", "\u0150": "\u0151", "\u0152": "\u0153", "\u0154": "\u0155", "\u0156": "\u0157", "\u0158": "\u0159", "\u015a": "\u015b", "\u015c": "\u015d", "\u015e": "\u015f", "\u0160": "\u0161", "\u0162": "\u0163", "\u0164": "\u0165", "\u0166": "\u0167", "\u0168": "\u0169", "\u016a": "\u016b", "\u016c": "\u016d", "\u016e": "\u016f", "\u0170": "\u0171", "\u0172": "\u0173", "\u0174": "\u0175", "\u0176": "\u0177", "\u0178": "\u00ff", "\u0179": "\u017a", "\u017b": "\u017c", "\u017d": "\u017e", "\u0181": "\u0253", "\u0182": "\u0183", "\u0184": "\u0185", "\u0186": "\u0254", "\u0187": "\u0188", "\u0189": "\u0256", "\u018a": "\u0257", "\u018b": "\u018c", "\u018e": "\u01dd", "\u018f": "\u0259", "\u0190": "\u025b", "\u0191": "\u0192", "\u0193": "\u0260", "\u0194": "\u0263", "\u0196": "\u0269", "\u0197": "\u0268", "\u0198": "\u0199", "\u019c": "\u026f", "\u019d": "\u0272", "\u019f": "\u0275", "\u01a0": "\u01a1", "\u01a2": "\u01a3", "\u01a4": "\u01a5", "\u01a6": "\u0280", "\u01a7": "\u01a8", "\u01a9": "\u0283", "\u01ac": "\u01ad", "\u01ae": "\u0288", "\u01af": "\u01b0", "\u01b1": "\u028a", "\u01b2": "\u028b", "\u01b3": "\u01b4", "\u01b5": "\u01b6", "\u01b7": "\u0292", "\u01b8": "\u01b9", "\u01bc": "\u01bd", "\u01cd": "\u01ce", "\u01cf": "\u01d0", "\u01d1": "\u01d2", "\u01d3": "\u01d4", "\u01d5": "\u01d6", "\u01d7": "\u01d8", "\u01d9": "\u01da", "\u01db": "\u01dc", "\u01de": "\u01df", "\u01e0": "\u01e1", "\u01e2": "\u01e3", "\u01e4": "\u01e5", "\u01e6": "\u01e7", "\u01e8": "\u01e9", "\u01ea": "\u01eb", "\u01ec": "\u01ed", "\u01ee": "\u01ef", "\u01f4": "\u01f5", "\u01f6": "\u0195", "\u01f7": "\u01bf", "\u01f8": "\u01f9", "\u01fa": "\u01fb", "\u01fc": "\u01fd", "\u01fe": "\u01ff", "\u0200": "\u0201", "\u0202": "\u0203", "\u0204": "\u0205", "\u0206": "\u0207", "\u0208": "\u0209", "\u020a": "\u020b", "\u020c": "\u020d", "\u020e": "\u020f", "\u0210": "\u0211", "\u0212": "\u0213", "\u0214": "\u0215", "\u0216": "\u0217", "\u0218": "\u0219", "\u021a": "\u021b", "\u021c": "\u021d", "\u021e": "\u021f", "\u0220": "\u019e", "\u0222": "\u0223", "\u0224": "\u0225", "\u0226": "\u0227", "\u0228": "\u0229", "\u022a": "\u022b", "\u022c": "\u022d", "\u022e": "\u022f", "\u0230": "\u0231", "\u0232": "\u0233", "\u023a": "\u2c65", "\u023b": "\u023c", "\u023d": "\u019a", "\u023e": "\u2c66", "\u0241": "\u0242", "\u0243": "\u0180", "\u0244": "\u0289", "\u0245": "\u028c", "\u0246": "\u0247", "\u0248": "\u0249", "\u024a": "\u024b", "\u024c": "\u024d", "\u024e": "\u024f", "\u0345": "\u03b9", "\u0370": "\u0371", "\u0372": "\u0373", "\u0376": "\u0377", "\u037f": "\u03f3", "\u0386": "\u03ac", "\u0388": "\u03ad", "\u0389": "\u03ae", "\u038a": "\u03af", "\u038c": "\u03cc", "\u038e": "\u03cd", "\u038f": "\u03ce", "\u0391": "\u03b1", "\u0392": "\u03b2", "\u0393": "\u03b3", "\u0394": "\u03b4", "\u0395": "\u03b5", "\u0396": "\u03b6", "\u0397": "\u03b7", "\u0398": "\u03b8", "\u0399": "\u03b9", "\u039a": "\u03ba", "\u039b": "\u03bb", "\u039c": "\u03bc", "\u039d": "\u03bd", "\u039e": "\u03be", "\u039f": "\u03bf", "\u03a0": "\u03c0", "\u03a1": "\u03c1", "\u03a3": "\u03c3", "\u03a4": "\u03c4", "\u03a5": "\u03c5", "\u03a6": "\u03c6", "\u03a7": "\u03c7", "\u03a8": "\u03c8", "\u03a9": "\u03c9", "\u03aa": "\u03ca", "\u03ab": "\u03cb", "\u03c2": "\u03c3", "\u03cf": "\u03d7", "\u03d8": "\u03d9", "\u03da": "\u03db", "\u03dc": "\u03dd", "\u03de": "\u03df", "\u03e0": "\u03e1", "\u03e2": "\u03e3", "\u03e4": "\u03e5", "\u03e6": "\u03e7", "\u03e8": "\u03e9", "\u03ea": "\u03eb", "\u03ec": "\u03ed", "\u03ee": "\u03ef", "\u03f7": "\u03f8", "\u03fa": "\u03fb", "\u03fd": "\u037b", "\u03fe": "\u037c", "\u03ff": "\u037d", "\u0400": "\u0450", "\u0401": "\u0451", "\u0402": "\u0452", "\u0403": "\u0453", "\u0404": "\u0454", "\u0405": "\u0455", "\u0406": "\u0456", "\u0407": "\u0457", "\u0408": "\u0458", "\u0409": "\u0459", "\u040a": "\u045a", "\u040b": "\u045b", "\u040c": "\u045c", "\u040d": "\u045d", "\u040e": "\u045e", "\u040f": "\u045f", "\u0410": "\u0430", "\u0411": "\u0431", "\u0412": "\u0432", "\u0413": "\u0433", "\u0414": "\u0434", "\u0415": "\u0435", "\u0416": "\u0436", "\u0417": "\u0437", "\u0418": "\u0438", "\u0419": "\u0439", "\u041a": "\u043a", "\u041b": "\u043b", "\u041c": "\u043c", "\u041d": "\u043d", "\u041e": "\u043e", "\u041f": "\u043f", "\u0420": "\u0440", "\u0421": "\u0441", "\u0422": "\u0442", "\u0423": "\u0443", "\u0424": "\u0444", "\u0425": "\u0445", "\u0426": "\u0446", "\u0427": "\u0447", "\u0428": "\u0448", "\u0429": "\u0449", "\u042a": "\u044a", "\u042b": "\u044b", "\u042c": "\u044c", "\u042d": "\u044d", "\u042e": "\u044e", "\u042f": "\u044f", "\u0460": "\u0461", "\u0462": "\u0463", "\u0464": "\u0465", "\u0466": "\u0467", "\u0468": "\u0469", "\u046a": "\u046b", "\u046c": "\u046d", "\u046e": "\u046f", "\u0470": "\u0471", "\u0472": "\u0473", "\u0474": "\u0475", "\u0476": "\u0477", "\u0478": "\u0479", "\u047a": "\u047b", "\u047c": "\u047d", "\u047e": "\u047f", "\u0480": "\u0481", "\u048a": "\u048b", "\u048c": "\u048d", "\u048e": "\u048f", "\u0490": "\u0491", "\u0492": "\u0493", "\u0494": "\u0495", "\u0496": "\u0497", "\u0498": "\u0499", "\u049a": "\u049b", "\u049c": "\u049d", "\u049e": "\u049f", "\u04a0": "\u04a1", "\u04a2": "\u04a3", "\u04a4": "\u04a5", "\u04a6": "\u04a7", "\u04a8": "\u04a9", "\u04aa": "\u04ab", "\u04ac": "\u04ad", "\u04ae": "\u04af", "\u04b0": "\u04b1", "\u04b2": "\u04b3", "\u04b4": "\u04b5", "\u04b6": "\u04b7", "\u04b8": "\u04b9", "\u04ba": "\u04bb", "\u04bc": "\u04bd", "\u04be": "\u04bf", "\u04c0": "\u04cf", "\u04c1": "\u04c2", "\u04c3": "\u04c4", "\u04c5": "\u04c6", "\u04c7": "\u04c8", "\u04c9": "\u04ca", "\u04cb": "\u04cc", "\u04cd": "\u04ce", "\u04d0": "\u04d1", "\u04d2": "\u04d3", "\u04d4": "\u04d5", "\u04d6": "\u04d7", "\u04d8": "\u04d9", "\u04da": "\u04db", "\u04dc": "\u04dd", "\u04de": "\u04df", "\u04e0": "\u04e1", "\u04e2": "\u04e3", "\u04e4": "\u04e5", "\u04e6": "\u04e7", "\u04e8": "\u04e9", "\u04ea": "\u04eb", "\u04ec": "\u04ed", "\u04ee": "\u04ef", "\u04f0": "\u04f1", "\u04f2": "\u04f3", "\u04f4": "\u04f5", "\u04f6": "\u04f7", "\u04f8": "\u04f9", "\u04fa": "\u04fb", "\u04fc": "\u04fd", "\u04fe": "\u04ff", "\u0500": "\u0501", "\u0502": "\u0503", "\u0504": "\u0505", "\u0506": "\u0507", "\u0508": "\u0509", "\u050a": "\u050b", "\u050c": "\u050d", "\u050e": "\u050f", "\u0510": "\u0511", "\u0512": "\u0513", "\u0514": "\u0515", "\u0516": "\u0517", "\u0518": "\u0519", "\u051a": "\u051b", "\u051c": "\u051d", "\u051e": "\u051f", "\u0520": "\u0521", "\u0522": "\u0523", "\u0524": "\u0525", "\u0526": "\u0527", "\u0528": "\u0529", "\u052a": "\u052b", "\u052c": "\u052d", "\u052e": "\u052f", "\u0531": "\u0561", "\u0532": "\u0562", "\u0533": "\u0563", "\u0534": "\u0564", "\u0535": "\u0565", "\u0536": "\u0566", "\u0537": "\u0567", "\u0538": "\u0568", "\u0539": "\u0569", "\u053a": "\u056a", "\u053b": "\u056b", "\u053c": "\u056c", "\u053d": "\u056d", "\u053e": "\u056e", "\u053f": "\u056f", "\u0540": "\u0570", "\u0541": "\u0571", "\u0542": "\u0572", "\u0543": "\u0573", "\u0544": "\u0574", "\u0545": "\u0575", "\u0546": "\u0576", "\u0547": "\u0577", "\u0548": "\u0578", "\u0549": "\u0579", "\u054a": "\u057a", "\u054b": "\u057b", "\u054c": "\u057c", "\u054d": "\u057d", "\u054e": "\u057e", "\u054f": "\u057f", "\u0550": "\u0580", "\u0551": "\u0581", "\u0552": "\u0582", "\u0553": "\u0583", "\u0554": "\u0584", "\u0555": "\u0585", "\u0556": "\u0586", "\u10a0": "\u2d00", "\u10a1": "\u2d01", "\u10a2": "\u2d02", "\u10a3": "\u2d03", "\u10a4": "\u2d04", "\u10a5": "\u2d05", "\u10a6": "\u2d06", "\u10a7": "\u2d07", "\u10a8": "\u2d08", "\u10a9": "\u2d09", "\u10aa": "\u2d0a", "\u10ab": "\u2d0b", "\u10ac": "\u2d0c", "\u10ad": "\u2d0d", "\u10ae": "\u2d0e", "\u10af": "\u2d0f", "\u10b0": "\u2d10", "\u10b1": "\u2d11", "\u10b2": "\u2d12", "\u10b3": "\u2d13", "\u10b4": "\u2d14", "\u10b5": "\u2d15", "\u10b6": "\u2d16", "\u10b7": "\u2d17", "\u10b8": "\u2d18", "\u10b9": "\u2d19", "\u10ba": "\u2d1a", "\u10bb": "\u2d1b", "\u10bc": "\u2d1c", "\u10bd": "\u2d1d", "\u10be": "\u2d1e", "\u10bf": "\u2d1f", "\u10c0": "\u2d20", "\u10c1": "\u2d21", "\u10c2": "\u2d22", "\u10c3": "\u2d23", "\u10c4": "\u2d24", "\u10c5": "\u2d25", "\u10c7": "\u2d27", "\u10cd": "\u2d2d", "\u13f8": "\u13f0", "\u13f9": "\u13f1", "\u13fa": "\u13f2", "\u13fb": "\u13f3", "\u13fc": "\u13f4", "\u13fd": "\u13f5", "\u1c80": "\u0432", "\u1c81": "\u0434", "\u1c82": "\u043e", "\u1c83": "\u0441", "\u1c84": "\u0442", "\u1c85": "\u0442", "\u1c86": "\u044a", "\u1c87": "\u0463", "\u1c88": "\ua64b", "\u1c90": "\u10d0", "\u1c91": "\u10d1", "\u1c92": "\u10d2", "\u1c93": "\u10d3", "\u1c94": "\u10d4", "\u1c95": "\u10d5", "\u1c96": "\u10d6", "\u1c97": "\u10d7", "\u1c98": "\u10d8", "\u1c99": "\u10d9", "\u1c9a": "\u10da", "\u1c9b": "\u10db", "\u1c9c": "\u10dc", "\u1c9d": "\u10dd", "\u1c9e": "\u10de", "\u1c9f": "\u10df", "\u1ca0": "\u10e0", "\u1ca1": "\u10e1", "\u1ca2": "\u10e2", "\u1ca3": "\u10e3", "\u1ca4": "\u10e4", "\u1ca5": "\u10e5", "\u1ca6": "\u10e6", "\u1ca7": "\u10e7", "\u1ca8": "\u10e8", "\u1ca9": "\u10e9", "\u1caa": "\u10ea", "\u1cab": "\u10eb", "\u1cac": "\u10ec", "\u1cad": "\u10ed", "\u1cae": "\u10ee", "\u1caf": "\u10ef", "\u1cb0": "\u10f0", "\u1cb1": "\u10f1", "\u1cb2": "\u10f2", "\u1cb3": "\u10f3", "\u1cb4": "\u10f4", "\u1cb5": "\u10f5", "\u1cb6": "\u10f6", "\u1cb7": "\u10f7", "\u1cb8": "\u10f8", "\u1cb9": "\u10f9", "\u1cba": "\u10fa", "\u1cbd": "\u10fd", "\u1cbe": "\u10fe", "\u1cbf": "\u10ff", "\u1e00": "\u1e01", "\u1e02": "\u1e03", "\u1e04": "\u1e05", "\u1e06": "\u1e07", "\u1e08": "\u1e09", "\u1e0a": "\u1e0b", "\u1e0c": "\u1e0d", "\u1e0e": "\u1e0f", "\u1e10": "\u1e11", "\u1e12": "\u1e13", "\u1e14": "\u1e15", "\u1e16": "\u1e17", "\u1e18": "\u1e19", "\u1e1a": "\u1e1b", "\u1e1c": "\u1e1d", "\u1e1e": "\u1e1f", "\u1e20": "\u1e21", "\u1e22": "\u1e23", "\u1e24": "\u1e25", "\u1e26": "\u1e27", "\u1e28": "\u1e29", "\u1e2a": "\u1e2b", "\u1e2c": "\u1e2d", "\u1e2e": "\u1e2f", "\u1e30": "\u1e31", "\u1e32": "\u1e33", "\u1e34": "\u1e35", "\u1e36": "\u1e37", "\u1e38": "\u1e39", "\u1e3a": "\u1e3b", "\u1e3c": "\u1e3d", "\u1e3e": "\u1e3f", "\u1e40": "\u1e41", "\u1e42": "\u1e43", "\u1e44": "\u1e45", "\u1e46": "\u1e47", "\u1e48": "\u1e49", "\u1e4a": "\u1e4b", "\u1e4c": "\u1e4d", "\u1e4e": "\u1e4f", "\u1e50": "\u1e51", "\u1e52": "\u1e53", "\u1e54": "\u1e55", "\u1e56": "\u1e57", "\u1e58": "\u1e59", "\u1e5a": "\u1e5b", "\u1e5c": "\u1e5d", "\u1e5e": "\u1e5f", "\u1e60": "\u1e61", "\u1e62": "\u1e63", "\u1e64": "\u1e65", "\u1e66": "\u1e67", "\u1e68": "\u1e69", "\u1e6a": "\u1e6b", "\u1e6c": "\u1e6d", "\u1e6e": "\u1e6f", "\u1e70": "\u1e71", "\u1e72": "\u1e73", "\u1e74": "\u1e75", "\u1e76": "\u1e77", "\u1e78": "\u1e79", "\u1e7a": "\u1e7b", "\u1e7c": "\u1e7d", "\u1e7e": "\u1e7f", "\u1e80": "\u1e81", "\u1e82": "\u1e83", "\u1e84": "\u1e85", "\u1e86": "\u1e87", "\u1e88": "\u1e89", "\u1e8a": "\u1e8b", "\u1e8c": "\u1e8d", "\u1e8e": "\u1e8f", "\u1e90": "\u1e91", "\u1e92": "\u1e93", "\u1e94": "\u1e95", "\u1e9e": "ss", "\u1ea0": "\u1ea1", "\u1ea2": "\u1ea3", "\u1ea4": "\u1ea5", "\u1ea6": "\u1ea7", "\u1ea8": "\u1ea9", "\u1eaa": "\u1eab", "\u1eac": "\u1ead", "\u1eae": "\u1eaf", "\u1eb0": "\u1eb1", "\u1eb2": "\u1eb3", "\u1eb4": "\u1eb5", "\u1eb6": "\u1eb7", "\u1eb8": "\u1eb9", "\u1eba": "\u1ebb", "\u1ebc": "\u1ebd", "\u1ebe": "\u1ebf", "\u1ec0": "\u1ec1", "\u1ec2": "\u1ec3", "\u1ec4": "\u1ec5", "\u1ec6": "\u1ec7", "\u1ec8": "\u1ec9", "\u1eca": "\u1ecb", "\u1ecc": "\u1ecd", "\u1ece": "\u1ecf", "\u1ed0": "\u1ed1", "\u1ed2": "\u1ed3", "\u1ed4": "\u1ed5", "\u1ed6": "\u1ed7", "\u1ed8": "\u1ed9", "\u1eda": "\u1edb", "\u1edc": "\u1edd", "\u1ede": "\u1edf", "\u1ee0": "\u1ee1", "\u1ee2": "\u1ee3", "\u1ee4": "\u1ee5", "\u1ee6": "\u1ee7", "\u1ee8": "\u1ee9", "\u1eea": "\u1eeb", "\u1eec": "\u1eed", "\u1eee": "\u1eef", "\u1ef0": "\u1ef1", "\u1ef2": "\u1ef3", "\u1ef4": "\u1ef5", "\u1ef6": "\u1ef7", "\u1ef8": "\u1ef9", "\u1efa": "\u1efb", "\u1efc": "\u1efd", "\u1efe": "\u1eff", "\u1f08": "\u1f00", "\u1f09": "\u1f01", "\u1f0a": "\u1f02", "\u1f0b": "\u1f03", "\u1f0c": "\u1f04", "\u1f0d": "\u1f05", "\u1f0e": "\u1f06", "\u1f0f": "\u1f07", "\u1f18": "\u1f10", "\u1f19": "\u1f11", "\u1f1a": "\u1f12", "\u1f1b": "\u1f13", "\u1f1c": "\u1f14", "\u1f1d": "\u1f15", "\u1f28": "\u1f20", "\u1f29": "\u1f21", "\u1f2a": "\u1f22", "\u1f2b": "\u1f23", "\u1f2c": "\u1f24", "\u1f2d": "\u1f25", "\u1f2e": "\u1f26", "\u1f2f": "\u1f27", "\u1f38": "\u1f30", "\u1f39": "\u1f31", "\u1f3a": "\u1f32", "\u1f3b": "\u1f33", "\u1f3c": "\u1f34", "\u1f3d": "\u1f35", "\u1f3e": "\u1f36", "\u1f3f": "\u1f37", "\u1f48": "\u1f40", "\u1f49": "\u1f41", "\u1f4a": "\u1f42", "\u1f4b": "\u1f43", "\u1f4c": "\u1f44", "\u1f4d": "\u1f45", "\u1f59": "\u1f51", "\u1f5b": "\u1f53", "\u1f5d": "\u1f55", "\u1f5f": "\u1f57", "\u1f68": "\u1f60", "\u1f69": "\u1f61", "\u1f6a": "\u1f62", "\u1f6b": "\u1f63", "\u1f6c": "\u1f64", "\u1f6d": "\u1f65", "\u1f6e": "\u1f66", "\u1f6f": "\u1f67", "\u1f80": "\u1f00\u03b9", "\u1f81": "\u1f01\u03b9", "\u1f82": "\u1f02\u03b9", "\u1f83": "\u1f03\u03b9", "\u1f84": "\u1f04\u03b9", "\u1f85": "\u1f05\u03b9", "\u1f86": "\u1f06\u03b9", "\u1f87": "\u1f07\u03b9", "\u1f88": "\u1f00\u03b9", "\u1f89": "\u1f01\u03b9", "\u1f8a": "\u1f02\u03b9", "\u1f8b": "\u1f03\u03b9", "\u1f8c": "\u1f04\u03b9", "\u1f8d": "\u1f05\u03b9", "\u1f8e": "\u1f06\u03b9", "\u1f8f": "\u1f07\u03b9", "\u1f90": "\u1f20\u03b9", "\u1f91": "\u1f21\u03b9", "\u1f92": "\u1f22\u03b9", "\u1f93": "\u1f23\u03b9", "\u1f94": "\u1f24\u03b9", "\u1f95": "\u1f25\u03b9", "\u1f96": "\u1f26\u03b9", "\u1f97": "\u1f27\u03b9", "\u1f98": "\u1f20\u03b9", "\u1f99": "\u1f21\u03b9", "\u1f9a": "\u1f22\u03b9", "\u1f9b": "\u1f23\u03b9", "\u1f9c": "\u1f24\u03b9", "\u1f9d": "\u1f25\u03b9", "\u1f9e": "\u1f26\u03b9", "\u1f9f": "\u1f27\u03b9", "\u1fa0": "\u1f60\u03b9", "\u1fa1": "\u1f61\u03b9", "\u1fa2": "\u1f62\u03b9", "\u1fa3": "\u1f63\u03b9", "\u1fa4": "\u1f64\u03b9", "\u1fa5": "\u1f65\u03b9", "\u1fa6": "\u1f66\u03b9", "\u1fa7": "\u1f67\u03b9", "\u1fa8": "\u1f60\u03b9", "\u1fa9": "\u1f61\u03b9", "\u1faa": "\u1f62\u03b9", "\u1fab": "\u1f63\u03b9", "\u1fac": "\u1f64\u03b9", "\u1fad": "\u1f65\u03b9", "\u1fae": "\u1f66\u03b9", "\u1faf": "\u1f67\u03b9", "\u1fb2": "\u1f70\u03b9", "\u1fb3": "\u03b1\u03b9", "\u1fb4": "\u03ac\u03b9", "\u1fb7": "\u1fb6\u03b9", "\u1fb8": "\u1fb0", "\u1fb9": "\u1fb1", "\u1fba": "\u1f70", "\u1fbc": "\u03b1\u03b9", "\u1fc2": "\u1f74\u03b9", "\u1fc3": "\u03b7\u03b9", "\u1fc4": "\u03ae\u03b9", "\u1fc7": "\u1fc6\u03b9", "\u1fc8": "\u1f72", "\u1fca": "\u1f74", "\u1fcc": "\u03b7\u03b9", "\u1fd8": "\u1fd0", "\u1fd9": "\u1fd1", "\u1fda": "\u1f76", "\u1fe8": "\u1fe0", "\u1fe9": "\u1fe1", "\u1fea": "\u1f7a", "\u1fec": "\u1fe5", "\u1ff2": "\u1f7c\u03b9", "\u1ff3": "\u03c9\u03b9", "\u1ff4": "\u03ce\u03b9", "\u1ff7": "\u1ff6\u03b9", "\u1ff8": "\u1f78", "\u1ffa": "\u1f7c", "\u1ffc": "\u03c9\u03b9", "\u2132": "\u214e", "\u2183": "\u2184", "\u2c00": "\u2c30", "\u2c01": "\u2c31", "\u2c02": "\u2c32", "\u2c03": "\u2c33", "\u2c04": "\u2c34", "\u2c05": "\u2c35", "\u2c06": "\u2c36", "\u2c07": "\u2c37", "\u2c08": "\u2c38", "\u2c09": "\u2c39", "\u2c0a": "\u2c3a", "\u2c0b": "\u2c3b", "\u2c0c": "\u2c3c", "\u2c0d": "\u2c3d", "\u2c0e": "\u2c3e", "\u2c0f": "\u2c3f", "\u2c10": "\u2c40", "\u2c11": "\u2c41", "\u2c12": "\u2c42", "\u2c13": "\u2c43", "\u2c14": "\u2c44", "\u2c15": "\u2c45", "\u2c16": "\u2c46", "\u2c17": "\u2c47", "\u2c18": "\u2c48", "\u2c19": "\u2c49", "\u2c1a": "\u2c4a", "\u2c1b": "\u2c4b", "\u2c1c": "\u2c4c", "\u2c1d": "\u2c4d", "\u2c1e": "\u2c4e", "\u2c1f": "\u2c4f", "\u2c20": "\u2c50", "\u2c21": "\u2c51", "\u2c22": "\u2c52", "\u2c23": "\u2c53", "\u2c24": "\u2c54", "\u2c25": "\u2c55", "\u2c26": "\u2c56", "\u2c27": "\u2c57", "\u2c28": "\u2c58", "\u2c29": "\u2c59", "\u2c2a": "\u2c5a", "\u2c2b": "\u2c5b", "\u2c2c": "\u2c5c", "\u2c2d": "\u2c5d", "\u2c2e": "\u2c5e", "\u2c2f": "\u2c5f", "\u2c60": "\u2c61", "\u2c62": "\u026b", "\u2c63": "\u1d7d", "\u2c64": "\u027d", "\u2c67": "\u2c68", "\u2c69": "\u2c6a", "\u2c6b": "\u2c6c", "\u2c6d": "\u0251", "\u2c6e": "\u0271", "\u2c6f": "\u0250", "\u2c70": "\u0252", "\u2c72": "\u2c73", "\u2c75": "\u2c76", "\u2c7e": "\u023f", "\u2c7f": "\u0240", "\u2c80": "\u2c81", "\u2c82": "\u2c83", "\u2c84": "\u2c85", "\u2c86": "\u2c87", "\u2c88": "\u2c89", "\u2c8a": "\u2c8b", "\u2c8c": "\u2c8d", "\u2c8e": "\u2c8f", "\u2c90": "\u2c91", "\u2c92": "\u2c93", "\u2c94": "\u2c95", "\u2c96": "\u2c97", "\u2c98": "\u2c99", "\u2c9a": "\u2c9b", "\u2c9c": "\u2c9d", "\u2c9e": "\u2c9f", "\u2ca0": "\u2ca1", "\u2ca2": "\u2ca3", "\u2ca4": "\u2ca5", "\u2ca6": "\u2ca7", "\u2ca8": "\u2ca9", "\u2caa": "\u2cab", "\u2cac": "\u2cad", "\u2cae": "\u2caf", "\u2cb0": "\u2cb1", "\u2cb2": "\u2cb3", "\u2cb4": "\u2cb5", "\u2cb6": "\u2cb7", "\u2cb8": "\u2cb9", "\u2cba": "\u2cbb", "\u2cbc": "\u2cbd", "\u2cbe": "\u2cbf", "\u2cc0": "\u2cc1", "\u2cc2": "\u2cc3", "\u2cc4": "\u2cc5", "\u2cc6": "\u2cc7", "\u2cc8": "\u2cc9", "\u2cca": "\u2ccb", "\u2ccc": "\u2ccd", "\u2cce": "\u2ccf", "\u2cd0": "\u2cd1", "\u2cd2": "\u2cd3", "\u2cd4": "\u2cd5", "\u2cd6": "\u2cd7", "\u2cd8": "\u2cd9", "\u2cda": "\u2cdb", "\u2cdc": "\u2cdd", "\u2cde": "\u2cdf", "\u2ce0": "\u2ce1", "\u2ce2": "\u2ce3", "\u2ceb": "\u2cec", "\u2ced": "\u2cee", "\u2cf2": "\u2cf3", "\ua640": "\ua641", "\ua642": "\ua643", "\ua644": "\ua645", "\ua646": "\ua647", "\ua648": "\ua649", "\ua64a": "\ua64b", "\ua64c": "\ua64d", "\ua64e": "\ua64f", "\ua650": "\ua651", "\ua652": "\ua653", "\ua654": "\ua655", "\ua656": "\ua657", "\ua658": "\ua659", "\ua65a": "\ua65b", "\ua65c": "\ua65d", "\ua65e": "\ua65f", "\ua660": "\ua661", "\ua662": "\ua663", "\ua664": "\ua665", "\ua666": "\ua667", "\ua668": "\ua669", "\ua66a": "\ua66b", "\ua66c": "\ua66d", "\ua680": "\ua681", "\ua682": "\ua683", "\ua684": "\ua685", "\ua686": "\ua687", "\ua688": "\ua689", "\ua68a": "\ua68b", "\ua68c": "\ua68d", "\ua68e": "\ua68f", "\ua690": "\ua691", "\ua692": "\ua693", "\ua694": "\ua695", "\ua696": "\ua697", "\ua698": "\ua699", "\ua69a": "\ua69b", "\ua722": "\ua723", "\ua724": "\ua725", "\ua726": "\ua727", "\ua728": "\ua729", "\ua72a": "\ua72b", "\ua72c": "\ua72d", "\ua72e": "\ua72f", "\ua732": "\ua733", "\ua734": "\ua735", "\ua736": "\ua737", "\ua738": "\ua739", "\ua73a": "\ua73b", "\ua73c": "\ua73d", "\ua73e": "\ua73f", "\ua740": "\ua741", "\ua742": "\ua743", "\ua744": "\ua745", "\ua746": "\ua747", "\ua748": "\ua749", "\ua74a": "\ua74b", "\ua74c": "\ua74d", "\ua74e": "\ua74f", "\ua750": "\ua751", "\ua752": "\ua753", "\ua754": "\ua755", "\ua756": "\ua757", "\ua758": "\ua759", "\ua75a": "\ua75b", "\ua75c": "\ua75d", "\ua75e": "\ua75f", "\ua760": "\ua761", "\ua762": "\ua763", "\ua764": "\ua765", "\ua766": "\ua767", "\ua768": "\ua769", "\ua76a": "\ua76b", "\ua76c": "\ua76d", "\ua76e": "\ua76f", "\ua779": "\ua77a", "\ua77b": "\ua77c", "\ua77d": "\u1d79", "\ua77e": "\ua77f", "\ua780": "\ua781", "\ua782": "\ua783", "\ua784": "\ua785", "\ua786": "\ua787", "\ua78b": "\ua78c", "\ua78d": "\u0265", "\ua790": "\ua791", "\ua792": "\ua793", "\ua796": "\ua797", "\ua798": "\ua799", "\ua79a": "\ua79b", "\ua79c": "\ua79d", "\ua79e": "\ua79f", "\ua7a0": "\ua7a1", "\ua7a2": "\ua7a3", "\ua7a4": "\ua7a5", "\ua7a6": "\ua7a7", "\ua7a8": "\ua7a9", "\ua7aa": "\u0266", "\ua7ab": "\u025c", "\ua7ac": "\u0261", "\ua7ad": "\u026c", "\ua7ae": "\u026a", "\ua7b0": "\u029e", "\ua7b1": "\u0287", "\ua7b2": "\u029d", "\ua7b3": "\uab53", "\ua7b4": "\ua7b5", "\ua7b6": "\ua7b7", "\ua7b8": "\ua7b9", "\ua7ba": "\ua7bb", "\ua7bc": "\ua7bd", "\ua7be": "\ua7bf", "\ua7c0": "\ua7c1", "\ua7c2": "\ua7c3", "\ua7c4": "\ua794", "\ua7c5": "\u0282", "\ua7c6": "\u1d8e", "\ua7c7": "\ua7c8", "\ua7c9": "\ua7ca", "\ua7d0": "\ua7d1", "\ua7d6": "\ua7d7", "\ua7d8": "\ua7d9", "\ua7f5": "\ua7f6", "\uab70": "\u13a0", "\uab71": "\u13a1", "\uab72": "\u13a2", "\uab73": "\u13a3", "\uab74": "\u13a4", "\uab75": "\u13a5", "\uab76": "\u13a6", "\uab77": "\u13a7", "\uab78": "\u13a8", "\uab79": "\u13a9", "\uab7a": "\u13aa", "\uab7b": "\u13ab", "\uab7c": "\u13ac", "\uab7d": "\u13ad", "\uab7e": "\u13ae", "\uab7f": "\u13af", "\uab80": "\u13b0", "\uab81": "\u13b1", "\uab82": "\u13b2", "\uab83": "\u13b3", "\uab84": "\u13b4", "\uab85": "\u13b5", "\uab86": "\u13b6", "\uab87": "\u13b7", "\uab88": "\u13b8", "\uab89": "\u13b9", "\uab8a": "\u13ba", "\uab8b": "\u13bb", "\uab8c": "\u13bc", "\uab8d": "\u13bd", "\uab8e": "\u13be", "\uab8f": "\u13bf", "\uab90": "\u13c0", "\uab91": "\u13c1", "\uab92": "\u13c2", "\uab93": "\u13c3", "\uab94": "\u13c4", "\uab95": "\u13c5", "\uab96": "\u13c6", "\uab97": "\u13c7", "\uab98": "\u13c8", "\uab99": "\u13c9", "\uab9a": "\u13ca", "\uab9b": "\u13cb", "\uab9c": "\u13cc", "\uab9d": "\u13cd", "\uab9e": "\u13ce", "\uab9f": "\u13cf", "\uaba0": "\u13d0", "\uaba1": "\u13d1", "\uaba2": "\u13d2", "\uaba3": "\u13d3", "\uaba4": "\u13d4", "\uaba5": "\u13d5", "\uaba6": "\u13d6", "\uaba7": "\u13d7", "\uaba8": "\u13d8", "\uaba9": "\u13d9", "\uabaa": "\u13da", "\uabab": "\u13db", "\uabac": "\u13dc", "\uabad": "\u13dd", "\uabae": "\u13de", "\uabaf": "\u13df", "\uabb0": "\u13e0", "\uabb1": "\u13e1", "\uabb2": "\u13e2", "\uabb3": "\u13e3", "\uabb4": "\u13e4", "\uabb5": "\u13e5", "\uabb6": "\u13e6", "\uabb7": "\u13e7", "\uabb8": "\u13e8", "\uabb9": "\u13e9", "\uabba": "\u13ea", "\uabbb": "\u13eb", "\uabbc": "\u13ec", "\uabbd": "\u13ed", "\uabbe": "\u13ee", "\uabbf": "\u13ef", "\ud801\udc00": "\ud801\udc28", "\ud801\udc01": "\ud801\udc29", "\ud801\udc02": "\ud801\udc2a", "\ud801\udc03": "\ud801\udc2b", "\ud801\udc04": "\ud801\udc2c", "\ud801\udc05": "\ud801\udc2d", "\ud801\udc06": "\ud801\udc2e", "\ud801\udc07": "\ud801\udc2f", "\ud801\udc08": "\ud801\udc30", "\ud801\udc09": "\ud801\udc31", "\ud801\udc0a": "\ud801\udc32", "\ud801\udc0b": "\ud801\udc33", "\ud801\udc0c": "\ud801\udc34", "\ud801\udc0d": "\ud801\udc35", "\ud801\udc0e": "\ud801\udc36", "\ud801\udc0f": "\ud801\udc37", "\ud801\udc10": "\ud801\udc38", "\ud801\udc11": "\ud801\udc39", "\ud801\udc12": "\ud801\udc3a", "\ud801\udc13": "\ud801\udc3b", "\ud801\udc14": "\ud801\udc3c", "\ud801\udc15": "\ud801\udc3d", "\ud801\udc16": "\ud801\udc3e", "\ud801\udc17": "\ud801\udc3f", "\ud801\udc18": "\ud801\udc40", "\ud801\udc19": "\ud801\udc41", "\ud801\udc1a": "\ud801\udc42", "\ud801\udc1b": "\ud801\udc43", "\ud801\udc1c": "\ud801\udc44", "\ud801\udc1d": "\ud801\udc45", "\ud801\udc1e": "\ud801\udc46", "\ud801\udc1f": "\ud801\udc47", "\ud801\udc20": "\ud801\udc48", "\ud801\udc21": "\ud801\udc49", "\ud801\udc22": "\ud801\udc4a", "\ud801\udc23": "\ud801\udc4b", "\ud801\udc24": "\ud801\udc4c", "\ud801\udc25": "\ud801\udc4d", "\ud801\udc26": "\ud801\udc4e", "\ud801\udc27": "\ud801\udc4f", "\ud801\udcb0": "\ud801\udcd8", "\ud801\udcb1": "\ud801\udcd9", "\ud801\udcb2": "\ud801\udcda", "\ud801\udcb3": "\ud801\udcdb", "\ud801\udcb4": "\ud801\udcdc", "\ud801\udcb5": "\ud801\udcdd", "\ud801\udcb6": "\ud801\udcde", "\ud801\udcb7": "\ud801\udcdf", "\ud801\udcb8": "\ud801\udce0", "\ud801\udcb9": "\ud801\udce1", "\ud801\udcba": "\ud801\udce2", "\ud801\udcbb": "\ud801\udce3", "\ud801\udcbc": "\ud801\udce4", "\ud801\udcbd": "\ud801\udce5", "\ud801\udcbe": "\ud801\udce6", "\ud801\udcbf": "\ud801\udce7", "\ud801\udcc0": "\ud801\udce8", "\ud801\udcc1": "\ud801\udce9", "\ud801\udcc2": "\ud801\udcea", "\ud801\udcc3": "\ud801\udceb", "\ud801\udcc4": "\ud801\udcec", "\ud801\udcc5": "\ud801\udced", "\ud801\udcc6": "\ud801\udcee", "\ud801\udcc7": "\ud801\udcef", "\ud801\udcc8": "\ud801\udcf0", "\ud801\udcc9": "\ud801\udcf1", "\ud801\udcca": "\ud801\udcf2", "\ud801\udccb": "\ud801\udcf3", "\ud801\udccc": "\ud801\udcf4", "\ud801\udccd": "\ud801\udcf5", "\ud801\udcce": "\ud801\udcf6", "\ud801\udccf": "\ud801\udcf7", "\ud801\udcd0": "\ud801\udcf8", "\ud801\udcd1": "\ud801\udcf9", "\ud801\udcd2": "\ud801\udcfa", "\ud801\udcd3": "\ud801\udcfb", "\ud801\udd70": "\ud801\udd97", "\ud801\udd71": "\ud801\udd98", "\ud801\udd72": "\ud801\udd99", "\ud801\udd73": "\ud801\udd9a", "\ud801\udd74": "\ud801\udd9b", "\ud801\udd75": "\ud801\udd9c", "\ud801\udd76": "\ud801\udd9d", "\ud801\udd77": "\ud801\udd9e", "\ud801\udd78": "\ud801\udd9f", "\ud801\udd79": "\ud801\udda0", "\ud801\udd7a": "\ud801\udda1", "\ud801\udd7c": "\ud801\udda3", "\ud801\udd7d": "\ud801\udda4", "\ud801\udd7e": "\ud801\udda5", "\ud801\udd7f": "\ud801\udda6", "\ud801\udd80": "\ud801\udda7", "\ud801\udd81": "\ud801\udda8", "\ud801\udd82": "\ud801\udda9", "\ud801\udd83": "\ud801\uddaa", "\ud801\udd84": "\ud801\uddab", "\ud801\udd85": "\ud801\uddac", "\ud801\udd86": "\ud801\uddad", "\ud801\udd87": "\ud801\uddae", "\ud801\udd88": "\ud801\uddaf", "\ud801\udd89": "\ud801\uddb0", "\ud801\udd8a": "\ud801\uddb1", "\ud801\udd8c": "\ud801\uddb3", "\ud801\udd8d": "\ud801\uddb4", "\ud801\udd8e": "\ud801\uddb5", "\ud801\udd8f": "\ud801\uddb6", "\ud801\udd90": "\ud801\uddb7", "\ud801\udd91": "\ud801\uddb8", "\ud801\udd92": "\ud801\uddb9", "\ud801\udd94": "\ud801\uddbb", "\ud801\udd95": "\ud801\uddbc", "\ud803\udc80": "\ud803\udcc0", "\ud803\udc81": "\ud803\udcc1", "\ud803\udc82": "\ud803\udcc2", "\ud803\udc83": "\ud803\udcc3", "\ud803\udc84": "\ud803\udcc4", "\ud803\udc85": "\ud803\udcc5", "\ud803\udc86": "\ud803\udcc6", "\ud803\udc87": "\ud803\udcc7", "\ud803\udc88": "\ud803\udcc8", "\ud803\udc89": "\ud803\udcc9", "\ud803\udc8a": "\ud803\udcca", "\ud803\udc8b": "\ud803\udccb", "\ud803\udc8c": "\ud803\udccc", "\ud803\udc8d": "\ud803\udccd", "\ud803\udc8e": "\ud803\udcce", "\ud803\udc8f": "\ud803\udccf", "\ud803\udc90": "\ud803\udcd0", "\ud803\udc91": "\ud803\udcd1", "\ud803\udc92": "\ud803\udcd2", "\ud803\udc93": "\ud803\udcd3", "\ud803\udc94": "\ud803\udcd4", "\ud803\udc95": "\ud803\udcd5", "\ud803\udc96": "\ud803\udcd6", "\ud803\udc97": "\ud803\udcd7", "\ud803\udc98": "\ud803\udcd8", "\ud803\udc99": "\ud803\udcd9", "\ud803\udc9a": "\ud803\udcda", "\ud803\udc9b": "\ud803\udcdb", "\ud803\udc9c": "\ud803\udcdc", "\ud803\udc9d": "\ud803\udcdd", "\ud803\udc9e": "\ud803\udcde", "\ud803\udc9f": "\ud803\udcdf", "\ud803\udca0": "\ud803\udce0", "\ud803\udca1": "\ud803\udce1", "\ud803\udca2": "\ud803\udce2", "\ud803\udca3": "\ud803\udce3", "\ud803\udca4": "\ud803\udce4", "\ud803\udca5": "\ud803\udce5", "\ud803\udca6": "\ud803\udce6", "\ud803\udca7": "\ud803\udce7", "\ud803\udca8": "\ud803\udce8", "\ud803\udca9": "\ud803\udce9", "\ud803\udcaa": "\ud803\udcea", "\ud803\udcab": "\ud803\udceb", "\ud803\udcac": "\ud803\udcec", "\ud803\udcad": "\ud803\udced", "\ud803\udcae": "\ud803\udcee", "\ud803\udcaf": "\ud803\udcef", "\ud803\udcb0": "\ud803\udcf0", "\ud803\udcb1": "\ud803\udcf1", "\ud803\udcb2": "\ud803\udcf2", "\ud806\udca0": "\ud806\udcc0", "\ud806\udca1": "\ud806\udcc1", "\ud806\udca2": "\ud806\udcc2", "\ud806\udca3": "\ud806\udcc3", "\ud806\udca4": "\ud806\udcc4", "\ud806\udca5": "\ud806\udcc5", "\ud806\udca6": "\ud806\udcc6", "\ud806\udca7": "\ud806\udcc7", "\ud806\udca8": "\ud806\udcc8", "\ud806\udca9": "\ud806\udcc9", "\ud806\udcaa": "\ud806\udcca", "\ud806\udcab": "\ud806\udccb", "\ud806\udcac": "\ud806\udccc", "\ud806\udcad": "\ud806\udccd", "\ud806\udcae": "\ud806\udcce", "\ud806\udcaf": "\ud806\udccf", "\ud806\udcb0": "\ud806\udcd0", "\ud806\udcb1": "\ud806\udcd1", "\ud806\udcb2": "\ud806\udcd2", "\ud806\udcb3": "\ud806\udcd3", "\ud806\udcb4": "\ud806\udcd4", "\ud806\udcb5": "\ud806\udcd5", "\ud806\udcb6": "\ud806\udcd6", "\ud806\udcb7": "\ud806\udcd7", "\ud806\udcb8": "\ud806\udcd8", "\ud806\udcb9": "\ud806\udcd9", "\ud806\udcba": "\ud806\udcda", "\ud806\udcbb": "\ud806\udcdb", "\ud806\udcbc": "\ud806\udcdc", "\ud806\udcbd": "\ud806\udcdd", "\ud806\udcbe": "\ud806\udcde", "\ud806\udcbf": "\ud806\udcdf", "\ud81b\ude40": "\ud81b\ude60", "\ud81b\ude41": "\ud81b\ude61", "\ud81b\ude42": "\ud81b\ude62", "\ud81b\ude43": "\ud81b\ude63", "\ud81b\ude44": "\ud81b\ude64", "\ud81b\ude45": "\ud81b\ude65", "\ud81b\ude46": "\ud81b\ude66", "\ud81b\ude47": "\ud81b\ude67", "\ud81b\ude48": "\ud81b\ude68", "\ud81b\ude49": "\ud81b\ude69", "\ud81b\ude4a": "\ud81b\ude6a", "\ud81b\ude4b": "\ud81b\ude6b", "\ud81b\ude4c": "\ud81b\ude6c", "\ud81b\ude4d": "\ud81b\ude6d", "\ud81b\ude4e": "\ud81b\ude6e", "\ud81b\ude4f": "\ud81b\ude6f", "\ud81b\ude50": "\ud81b\ude70", "\ud81b\ude51": "\ud81b\ude71", "\ud81b\ude52": "\ud81b\ude72", "\ud81b\ude53": "\ud81b\ude73", "\ud81b\ude54": "\ud81b\ude74", "\ud81b\ude55": "\ud81b\ude75", "\ud81b\ude56": "\ud81b\ude76", "\ud81b\ude57": "\ud81b\ude77", "\ud81b\ude58": "\ud81b\ude78", "\ud81b\ude59": "\ud81b\ude79", "\ud81b\ude5a": "\ud81b\ude7a", "\ud81b\ude5b": "\ud81b\ude7b", "\ud81b\ude5c": "\ud81b\ude7c", "\ud81b\ude5d": "\ud81b\ude7d", "\ud81b\ude5e": "\ud81b\ude7e", "\ud81b\ude5f": "\ud81b\ude7f", "\ud83a\udd00": "\ud83a\udd22", "\ud83a\udd01": "\ud83a\udd23", "\ud83a\udd02": "\ud83a\udd24", "\ud83a\udd03": "\ud83a\udd25", "\ud83a\udd04": "\ud83a\udd26", "\ud83a\udd05": "\ud83a\udd27", "\ud83a\udd06": "\ud83a\udd28", "\ud83a\udd07": "\ud83a\udd29", "\ud83a\udd08": "\ud83a\udd2a", "\ud83a\udd09": "\ud83a\udd2b", "\ud83a\udd0a": "\ud83a\udd2c", "\ud83a\udd0b": "\ud83a\udd2d", "\ud83a\udd0c": "\ud83a\udd2e", "\ud83a\udd0d": "\ud83a\udd2f", "\ud83a\udd0e": "\ud83a\udd30", "\ud83a\udd0f": "\ud83a\udd31", "\ud83a\udd10": "\ud83a\udd32", "\ud83a\udd11": "\ud83a\udd33", "\ud83a\udd12": "\ud83a\udd34", "\ud83a\udd13": "\ud83a\udd35", "\ud83a\udd14": "\ud83a\udd36", "\ud83a\udd15": "\ud83a\udd37", "\ud83a\udd16": "\ud83a\udd38", "\ud83a\udd17": "\ud83a\udd39", "\ud83a\udd18": "\ud83a\udd3a", "\ud83a\udd19": "\ud83a\udd3b", "\ud83a\udd1a": "\ud83a\udd3c", "\ud83a\udd1b": "\ud83a\udd3d", "\ud83a\udd1c": "\ud83a\udd3e", "\ud83a\udd1d": "\ud83a\udd3f", "\ud83a\udd1e": "\ud83a\udd40", "\ud83a\udd1f": "\ud83a\udd41", "\ud83a\udd20": "\ud83a\udd42", "\ud83a\udd21": "\ud83a\udd43"}$folds$::jsonb ->> letters.letter, letters.letter), '' order by place)
        into folded
        from string_to_table(folded, null) with ordinality as letters (letter, place);
        folded := normalize(regexp_replace(folded, E'[\u00AD-\u00AD\u034F-\u034F\u061C-\u061C\u115F-\u1160\u17B4-\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164-\u3164\uFE00-\uFE0F\uFEFF-\uFEFF\uFFA0-\uFFA0\uFFF0-\uFFFB\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF]', '', 'g'), nfkc);
        folded := regexp_replace(folded, E'[\u0001-\u0020\u007F-\u00A0\u1680-\u1680\u2000-\u200A\u2028-\u2029\u202F-\u202F\u205F-\u205F\u2800-\u2800\u3000-\u3000]', ' ', 'g');
    end if;
    if position('  ' in folded) > 0 then
        folded := regexp_replace(folded, ' +', ' ', 'g');
    end if;
    return btrim(folded, ' ');
end
$_$;

ALTER FUNCTION prep.normalized_text(value text) OWNER TO moovitamix_transformer;

SET default_tablespace = '';

CREATE TABLE marts.listen_history (
    id bigint NOT NULL,
    user_id bigint NOT NULL,
    track_id bigint NOT NULL,
    listened_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    _load_id text NOT NULL
)
PARTITION BY RANGE (listened_at);

ALTER TABLE marts.listen_history OWNER TO moovitamix_transformer;

SET default_table_access_method = heap;

CREATE TABLE marts.track_genres (
    track_id bigint NOT NULL,
    genre text NOT NULL
);

ALTER TABLE marts.track_genres OWNER TO moovitamix_transformer;

CREATE TABLE prep.builds (
    model text NOT NULL,
    seq bigint NOT NULL,
    fingerprint text NOT NULL,
    totals_until timestamp with time zone NOT NULL
);

ALTER TABLE prep.builds OWNER TO moovitamix_transformer;

CREATE TABLE prep.user_genre_totals (
    user_id bigint NOT NULL,
    genre text NOT NULL,
    listens bigint,
    affinity double precision,
    affinity_at timestamp with time zone,
    last_listened_at timestamp with time zone
);

ALTER TABLE prep.user_genre_totals OWNER TO moovitamix_transformer;

CREATE VIEW features.user_genre_affinity AS
 WITH track_genres AS (
         SELECT track_genres.track_id,
            track_genres.genre
           FROM marts.track_genres
        ), totals AS (
         SELECT user_genre_totals.user_id,
            user_genre_totals.genre,
            user_genre_totals.listens,
            user_genre_totals.affinity,
            user_genre_totals.affinity_at,
            user_genre_totals.last_listened_at
           FROM prep.user_genre_totals
        ), recent_listens AS (
         SELECT listen_history.id,
            listen_history.user_id,
            listen_history.track_id,
            listen_history.listened_at,
            listen_history.created_at,
            listen_history._load_id
           FROM marts.listen_history
          WHERE ((listen_history.listened_at >= ( SELECT previous_build.totals_until
                   FROM ( SELECT builds.seq,
                            builds.totals_until
                           FROM prep.builds
                          WHERE (builds.model = 'prep.user_genre_totals'::text)) previous_build)) AND (listen_history.listened_at <= now()))
        ), aged_listens AS (
         SELECT recent_listens.user_id,
            track_genres.genre,
            recent_listens.listened_at,
            ((EXTRACT(epoch FROM (now() - recent_listens.listened_at)))::double precision / (86400)::double precision) AS age_days
           FROM (recent_listens
             JOIN track_genres ON ((recent_listens.track_id = track_genres.track_id)))
        ), parts AS (
         SELECT totals.user_id,
            totals.genre,
            totals.listens,
            0 AS listens_7d,
            0 AS listens_30d,
            0 AS listens_90d,
            exp(GREATEST((ln(totals.affinity) - (((ln((2)::double precision) * (EXTRACT(epoch FROM (now() - totals.affinity_at)))::double precision) / (86400)::double precision) / (30)::double precision)), ('-700'::integer)::double precision)) AS affinity,
            totals.last_listened_at
           FROM totals
        UNION ALL
         SELECT aged_listens.user_id,
            aged_listens.genre,
            count(*) AS listens,
            count(*) FILTER (WHERE (aged_listens.age_days < (7)::double precision)) AS listens_7d,
            count(*) FILTER (WHERE (aged_listens.age_days < (30)::double precision)) AS listens_30d,
            count(*) FILTER (WHERE (aged_listens.age_days < (90)::double precision)) AS listens_90d,
            sum(exp(GREATEST((ln((1)::double precision) - ((ln((2)::double precision) * aged_listens.age_days) / (30)::double precision)), ('-700'::integer)::double precision))) AS affinity,
            max(aged_listens.listened_at) AS last_listened_at
           FROM aged_listens
          GROUP BY aged_listens.user_id, aged_listens.genre
        ), per_genre AS (
         SELECT parts.user_id,
            parts.genre,
            (sum(parts.listens))::bigint AS listens,
            (sum(parts.listens_7d))::bigint AS listens_7d,
            (sum(parts.listens_30d))::bigint AS listens_30d,
            (sum(parts.listens_90d))::bigint AS listens_90d,
            sum(parts.affinity) AS affinity,
            max(parts.last_listened_at) AS last_listened_at
           FROM parts
          GROUP BY parts.user_id, parts.genre
        ), ranked AS (
         SELECT per_genre.user_id,
            per_genre.genre,
            per_genre.listens,
            ((per_genre.listens)::double precision / (sum(per_genre.listens) OVER (PARTITION BY per_genre.user_id))::double precision) AS share,
            per_genre.listens_7d,
            per_genre.listens_30d,
            per_genre.listens_90d,
            per_genre.affinity,
            row_number() OVER (PARTITION BY per_genre.user_id ORDER BY (round((per_genre.affinity)::numeric, 9)) DESC, per_genre.genre) AS genre_rank,
            per_genre.last_listened_at
           FROM per_genre
        )
 SELECT user_id,
    genre,
    listens,
    share,
    listens_7d,
    listens_30d,
    listens_90d,
    affinity,
    genre_rank,
    last_listened_at
   FROM ranked;

ALTER VIEW features.user_genre_affinity OWNER TO moovitamix_transformer;

CREATE VIEW analysis.listens_by_genre AS
 SELECT genre,
    sum(listens) AS listens
   FROM features.user_genre_affinity
  GROUP BY genre;

ALTER VIEW analysis.listens_by_genre OWNER TO moovitamix;

CREATE TABLE marts.users (
    id bigint NOT NULL,
    first_name text,
    last_name text,
    email text NOT NULL,
    gender text,
    favorite_genres text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    _load_id text NOT NULL
);

ALTER TABLE marts.users OWNER TO moovitamix_transformer;

CREATE VIEW analysis.users AS
 SELECT id,
    gender
   FROM marts.users;

ALTER VIEW analysis.users OWNER TO moovitamix;

CREATE TABLE prep.user_totals (
    user_id bigint NOT NULL,
    listens bigint,
    track_ids bigint[],
    days date[],
    last_listened_at timestamp with time zone
);

ALTER TABLE prep.user_totals OWNER TO moovitamix_transformer;

CREATE VIEW features.user_profile AS
 WITH users AS (
         SELECT users.id,
            users.first_name,
            users.last_name,
            users.email,
            users.gender,
            users.favorite_genres,
            users.created_at,
            users.updated_at,
            users.deleted_at,
            users._load_id
           FROM marts.users
          WHERE (users.deleted_at IS NULL)
        ), users_as_of AS (
         SELECT users.id,
            users.first_name,
            users.last_name,
            users.email,
            users.gender,
            users.favorite_genres,
            users.created_at,
            users.updated_at,
            users.deleted_at,
            users._load_id
           FROM users
        ), totals AS (
         SELECT user_totals.user_id,
            user_totals.listens,
            user_totals.track_ids,
            user_totals.days,
            user_totals.last_listened_at
           FROM prep.user_totals
        ), recent_listens AS (
         SELECT listen_history.id,
            listen_history.user_id,
            listen_history.track_id,
            listen_history.listened_at,
            listen_history.created_at,
            listen_history._load_id
           FROM marts.listen_history
          WHERE ((listen_history.listened_at >= ( SELECT previous_build.totals_until
                   FROM ( SELECT builds.seq,
                            builds.totals_until
                           FROM prep.builds
                          WHERE (builds.model = 'prep.user_totals'::text)) previous_build)) AND (listen_history.listened_at <= now()))
        ), affinities AS (
         SELECT user_genre_affinity.user_id,
            user_genre_affinity.genre,
            user_genre_affinity.listens,
            user_genre_affinity.share,
            user_genre_affinity.listens_7d,
            user_genre_affinity.listens_30d,
            user_genre_affinity.listens_90d,
            user_genre_affinity.affinity,
            user_genre_affinity.genre_rank,
            user_genre_affinity.last_listened_at
           FROM features.user_genre_affinity
        ), recent_listening AS (
         SELECT recent_listens.user_id,
            count(*) AS listens,
            array_agg(DISTINCT recent_listens.track_id) AS track_ids,
            count(DISTINCT date_trunc('day'::text, recent_listens.listened_at, 'UTC'::text)) AS active_days,
            max(recent_listens.listened_at) AS last_listened_at
           FROM recent_listens
          GROUP BY recent_listens.user_id
        ), declared_genres AS (
         SELECT users.id,
            users.favorite_genres AS genres
           FROM marts.users
        ), favorite_genres AS (
         SELECT DISTINCT declared_genres.id AS user_id,
            TRIM(BOTH FROM names.genre) AS genre
           FROM (declared_genres
             CROSS JOIN LATERAL string_to_table(prep.normalized_text(declared_genres.genres), ','::text) names(genre))
          WHERE ((TRIM(BOTH FROM names.genre) <> ''::text) AND (octet_length(TRIM(BOTH FROM names.genre)) <= 1000))
        ), taste AS (
         SELECT affinities.user_id,
            max(affinities.genre) FILTER (WHERE (affinities.genre_rank = 1)) AS top_genre,
            sum(((affinities.share * ln(((1)::double precision / affinities.share))) / ln((2)::double precision))) AS genre_entropy,
            COALESCE(sum(affinities.share) FILTER (WHERE (favorite_genres.genre IS NOT NULL)), (0)::double precision) AS favorite_genre_share
           FROM (affinities
             LEFT JOIN favorite_genres ON (((affinities.user_id = favorite_genres.user_id) AND (affinities.genre = favorite_genres.genre))))
          GROUP BY affinities.user_id
        ), profiles AS (
         SELECT users.id AS user_id,
            (COALESCE(totals.listens, (0)::bigint) + COALESCE(recent.listens, (0)::bigint)) AS listens,
            (COALESCE(cardinality(totals.track_ids), 0) + ( SELECT count(*) AS count
                   FROM ( SELECT unnest(recent.track_ids) AS unnest
                        EXCEPT
                         SELECT unnest(totals.track_ids) AS unnest) new_tracks)) AS distinct_tracks,
            (COALESCE(cardinality(totals.days), 0) + COALESCE(recent.active_days, (0)::bigint)) AS active_days,
            taste.top_genre,
            taste.genre_entropy,
            taste.favorite_genre_share,
            GREATEST(totals.last_listened_at, recent.last_listened_at) AS last_listened_at
           FROM (((users_as_of users
             LEFT JOIN totals ON ((users.id = totals.user_id)))
             LEFT JOIN recent_listening recent ON ((users.id = recent.user_id)))
             LEFT JOIN taste ON ((users.id = taste.user_id)))
        )
 SELECT user_id,
    listens,
    distinct_tracks,
    active_days,
    top_genre,
    genre_entropy,
    favorite_genre_share,
    last_listened_at
   FROM profiles;

ALTER VIEW features.user_profile OWNER TO moovitamix_transformer;

CREATE TABLE gate.decisions (
    decision_seq bigint NOT NULL,
    decided_at timestamp with time zone DEFAULT now() NOT NULL,
    verb text NOT NULL,
    load_id text,
    table_name text,
    operator text NOT NULL,
    decided_by text DEFAULT SESSION_USER NOT NULL,
    reason text NOT NULL,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT decisions_reason_check CHECK ((reason ~ '[^[:space:]]'::text)),
    CONSTRAINT decisions_verb_check CHECK ((verb = ANY (ARRAY['release'::text, 'reject'::text, 'replay'::text, 'erase'::text, 'prune'::text])))
);

ALTER TABLE gate.decisions OWNER TO moovitamix;

ALTER TABLE gate.decisions ALTER COLUMN decision_seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME gate.decisions_decision_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE gate.erasures (
    tombstone text NOT NULL,
    aliases text[] DEFAULT '{}'::text[] NOT NULL,
    key_check text NOT NULL,
    erased_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE gate.erasures OWNER TO moovitamix;

CREATE TABLE gate.loads (
    load_id text NOT NULL,
    table_name text NOT NULL,
    state text NOT NULL,
    rows_read bigint NOT NULL,
    rows_landed bigint NOT NULL,
    rows_removed bigint NOT NULL,
    rows_quarantined bigint DEFAULT 0 NOT NULL,
    verdict jsonb,
    judged_at timestamp with time zone,
    decided_by text,
    reason text,
    CONSTRAINT loads_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'accepted'::text, 'accepted_with_quarantine'::text, 'blocked'::text, 'superseded'::text, 'released'::text, 'rejected'::text])))
);

ALTER TABLE gate.loads OWNER TO moovitamix;

CREATE TABLE gate.publications (
    seq bigint NOT NULL,
    load_id text NOT NULL,
    table_name text NOT NULL,
    kind text NOT NULL,
    published_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE gate.publications OWNER TO moovitamix;

ALTER TABLE gate.publications ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME gate.publications_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE gate.quarantined_rows (
    load_id text NOT NULL,
    table_name text NOT NULL,
    key text NOT NULL,
    dlt_id text NOT NULL,
    rule text NOT NULL,
    detail text,
    quarantined_at timestamp with time zone DEFAULT now() NOT NULL,
    closed_at timestamp with time zone,
    outcome text
);

ALTER TABLE gate.quarantined_rows OWNER TO moovitamix;

CREATE TABLE gate.told_fields (
    table_name text NOT NULL,
    field text NOT NULL,
    load_id text NOT NULL,
    told_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE gate.told_fields OWNER TO moovitamix;

CREATE TABLE marts.tracks (
    id bigint NOT NULL,
    name text,
    artist text,
    songwriters text,
    duration interval NOT NULL,
    genres text,
    album text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    _load_id text NOT NULL
);

ALTER TABLE marts.tracks OWNER TO moovitamix_transformer;

CREATE TABLE ops.runs (
    run_id text NOT NULL,
    run_seq bigint NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    status text DEFAULT 'running'::text NOT NULL,
    exit_code integer,
    message text,
    command text NOT NULL,
    sample_day integer,
    error_type text,
    rows bigint,
    bytes bigint,
    cpu_seconds double precision,
    database_cpu_seconds double precision,
    peak_memory_bytes bigint,
    disk_read_bytes bigint,
    disk_written_bytes bigint,
    network_received_bytes bigint,
    network_sent_bytes bigint,
    disk_free_bytes bigint,
    disk_size_bytes bigint,
    CONSTRAINT runs_status_check CHECK ((status = ANY (ARRAY['running'::text, 'succeeded'::text, 'failed'::text, 'crashed'::text])))
);

ALTER TABLE ops.runs OWNER TO moovitamix;

CREATE VIEW ops.current_runs AS
 SELECT run_id,
    run_seq,
    started_at,
    finished_at,
        CASE
            WHEN ((status = 'running'::text) AND (NOT (EXISTS ( SELECT 1
               FROM (pg_locks
                 CROSS JOIN hashtextextended('moovitamix run'::text, (0)::bigint) lock_key(lock_key))
              WHERE ((pg_locks.locktype = 'advisory'::text) AND pg_locks.granted AND (pg_locks.objsubid = 1) AND (pg_locks.database = ( SELECT pg_database.oid
                       FROM pg_database
                      WHERE (pg_database.datname = current_database()))) AND ((((pg_locks.classid)::bigint << 32) | (pg_locks.objid)::bigint) = lock_key.lock_key)))))) THEN 'crashed'::text
            ELSE status
        END AS status,
    exit_code,
    error_type,
    message,
    command,
    sample_day,
    rows,
    bytes,
    cpu_seconds,
    database_cpu_seconds,
    peak_memory_bytes,
    disk_read_bytes,
    disk_written_bytes,
    network_received_bytes,
    network_sent_bytes,
    disk_free_bytes,
    disk_size_bytes
   FROM ops.runs;

ALTER VIEW ops.current_runs OWNER TO moovitamix;

CREATE TABLE ops.steps (
    run_id text NOT NULL,
    step text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    status text DEFAULT 'running'::text NOT NULL,
    message text,
    figures jsonb,
    error_type text,
    rows bigint,
    bytes bigint,
    cpu_seconds double precision,
    database_cpu_seconds double precision,
    peak_memory_bytes bigint,
    disk_read_bytes bigint,
    disk_written_bytes bigint,
    network_received_bytes bigint,
    network_sent_bytes bigint,
    disk_free_bytes bigint,
    disk_size_bytes bigint,
    CONSTRAINT steps_status_check CHECK ((status = ANY (ARRAY['running'::text, 'succeeded'::text, 'failed'::text, 'crashed'::text])))
);

ALTER TABLE ops.steps OWNER TO moovitamix;

CREATE VIEW ops.current_steps AS
 SELECT run_id,
    step,
    started_at,
    finished_at,
        CASE
            WHEN ((status = 'running'::text) AND (NOT (EXISTS ( SELECT 1
               FROM (pg_locks
                 CROSS JOIN hashtextextended('moovitamix run'::text, (0)::bigint) lock_key(lock_key))
              WHERE ((pg_locks.locktype = 'advisory'::text) AND pg_locks.granted AND (pg_locks.objsubid = 1) AND (pg_locks.database = ( SELECT pg_database.oid
                       FROM pg_database
                      WHERE (pg_database.datname = current_database()))) AND ((((pg_locks.classid)::bigint << 32) | (pg_locks.objid)::bigint) = lock_key.lock_key)))))) THEN 'crashed'::text
            ELSE status
        END AS status,
    error_type,
    message,
    figures,
    rows,
    bytes,
    cpu_seconds,
    database_cpu_seconds,
    peak_memory_bytes,
    disk_read_bytes,
    disk_written_bytes,
    network_received_bytes,
    network_sent_bytes,
    disk_free_bytes,
    disk_size_bytes
   FROM ops.steps;

ALTER VIEW ops.current_steps OWNER TO moovitamix;

CREATE TABLE ops.owned_relations (
    name text NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE ops.owned_relations OWNER TO moovitamix;

CREATE TABLE ops.run_columns (
    run_id text NOT NULL,
    table_name text NOT NULL,
    column_name text NOT NULL,
    rows bigint NOT NULL,
    nulls bigint NOT NULL,
    absent bigint NOT NULL
);

ALTER TABLE ops.run_columns OWNER TO moovitamix;

CREATE TABLE ops.run_relations (
    run_id text NOT NULL,
    relation text NOT NULL,
    rows bigint,
    bytes bigint NOT NULL
);

ALTER TABLE ops.run_relations OWNER TO moovitamix;

CREATE VIEW ops.run_growth AS
 SELECT sized.run_id,
    sized.relation,
    sized.rows,
    sized.bytes,
    good.run_id AS run_id_before,
    earlier.rows AS rows_before,
    earlier.bytes AS bytes_before
   FROM ((( SELECT run_relations.run_id,
            run_relations.relation,
            run_relations.rows,
            run_relations.bytes,
            max(runs.run_seq) FILTER (WHERE (runs.status = 'succeeded'::text)) OVER (PARTITION BY run_relations.relation ORDER BY runs.run_seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS good_seq
           FROM (ops.run_relations
             JOIN ops.runs USING (run_id))) sized
     LEFT JOIN ops.runs good ON ((sized.good_seq = good.run_seq)))
     LEFT JOIN ops.run_relations earlier ON (((good.run_id = earlier.run_id) AND (sized.relation = earlier.relation))));

ALTER VIEW ops.run_growth OWNER TO moovitamix;

CREATE TABLE ops.run_loads (
    run_id text NOT NULL,
    load_id text NOT NULL,
    table_name text NOT NULL,
    state text NOT NULL,
    rows_quarantined bigint NOT NULL
);

ALTER TABLE ops.run_loads OWNER TO moovitamix;

CREATE TABLE ops.run_nodes (
    run_id text NOT NULL,
    node text NOT NULL,
    step text NOT NULL,
    resource_type text NOT NULL,
    status text NOT NULL,
    seconds double precision NOT NULL,
    rows_affected bigint,
    failures bigint
);

ALTER TABLE ops.run_nodes OWNER TO moovitamix;

CREATE VIEW ops.run_rules AS
 SELECT run_loads.run_id,
    run_loads.load_id,
    run_loads.table_name,
    failed.rule,
    failed.severity,
    failed.rows AS rows_failed
   FROM ((ops.run_loads
     JOIN gate.loads USING (load_id, table_name))
     CROSS JOIN LATERAL jsonb_to_recordset((loads.verdict -> 'failed_rules'::text)) failed(rule text, severity text, rows bigint));

ALTER VIEW ops.run_rules OWNER TO moovitamix;

CREATE TABLE ops.run_tables (
    run_id text NOT NULL,
    table_name text NOT NULL,
    load_id text,
    requests bigint NOT NULL,
    requests_failed bigint NOT NULL,
    bytes_received bigint NOT NULL,
    rows_read bigint,
    rows_unchanged bigint,
    rows_landed bigint,
    rows_removed bigint,
    rows_unreadable bigint,
    keys_unsettled bigint,
    bytes_landed bigint,
    keys_changed bigint
);

ALTER TABLE ops.run_tables OWNER TO moovitamix;

ALTER TABLE ops.runs ALTER COLUMN run_seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ops.runs_run_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE UNLOGGED TABLE prep.int_build (
    after_seq bigint,
    until_seq bigint,
    fingerprint text COLLATE pg_catalog."C",
    totals_until timestamp with time zone,
    listens_seq bigint,
    are_totals_behind boolean
);

ALTER TABLE prep.int_build OWNER TO moovitamix_transformer;

CREATE UNLOGGED TABLE prep.int_document_versions (
    key character varying,
    user_id bigint,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    items jsonb,
    is_removal boolean,
    version_seq bigint,
    _load_id character varying(64),
    is_published boolean
);

ALTER TABLE prep.int_document_versions OWNER TO moovitamix_transformer;

CREATE TABLE staging.users (
    key character varying NOT NULL,
    payload jsonb,
    content_hash character varying NOT NULL,
    _dlt_load_id character varying(64) NOT NULL,
    _dlt_id character varying(64) NOT NULL,
    version_seq bigint NOT NULL
);

ALTER TABLE ONLY staging.users REPLICA IDENTITY FULL;

ALTER TABLE staging.users OWNER TO moovitamix_loader;

CREATE VIEW prep.stg_moovitamix__users AS
 WITH source AS (
         SELECT users.key,
            users.payload,
            users.content_hash,
            users._dlt_load_id,
            users._dlt_id,
            users.version_seq
           FROM staging.users
        ), identified AS (
         SELECT source.key,
            source.payload,
            source.content_hash,
            source._dlt_load_id,
            source._dlt_id,
            source.version_seq,
                CASE
                    WHEN (jsonb_typeof(COALESCE((source.payload -> 'id'::text), ((source.key)::jsonb -> 0))) = 'number'::text) THEN
                    CASE
                        WHEN (((COALESCE((source.payload -> 'id'::text), ((source.key)::jsonb -> 0)))::numeric = trunc((COALESCE((source.payload -> 'id'::text), ((source.key)::jsonb -> 0)))::numeric)) AND (((COALESCE((source.payload -> 'id'::text), ((source.key)::jsonb -> 0)))::numeric >= ('-9223372036854775808'::bigint)::numeric) AND ((COALESCE((source.payload -> 'id'::text), ((source.key)::jsonb -> 0)))::numeric <= ('9223372036854775807'::bigint)::numeric))) THEN (COALESCE((source.payload -> 'id'::text), ((source.key)::jsonb -> 0)))::bigint
                        ELSE NULL::bigint
                    END
                    ELSE NULL::bigint
                END AS whole_id
           FROM source
        ), renamed AS (
         SELECT identified.key,
                CASE
                    WHEN ((identified.key)::text = (('['::text || identified.whole_id) || ']'::text)) THEN identified.whole_id
                    ELSE NULL::bigint
                END AS id,
            ((identified.payload -> 'id'::text))::text AS id_raw,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'first_name'::text)) = 'string'::text) THEN ((identified.payload -> 'first_name'::text) #>> '{}'::text[])
                    ELSE NULL::text
                END AS first_name,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'last_name'::text)) = 'string'::text) THEN ((identified.payload -> 'last_name'::text) #>> '{}'::text[])
                    ELSE NULL::text
                END AS last_name,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'email'::text)) = 'string'::text) THEN ((identified.payload -> 'email'::text) #>> '{}'::text[])
                    ELSE NULL::text
                END AS email,
            ((identified.payload -> 'email'::text))::text AS email_raw,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'gender'::text)) = 'string'::text) THEN ((identified.payload -> 'gender'::text) #>> '{}'::text[])
                    ELSE NULL::text
                END AS gender,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'favorite_genres'::text)) = 'string'::text) THEN ((identified.payload -> 'favorite_genres'::text) #>> '{}'::text[])
                    ELSE NULL::text
                END AS favorite_genres,
                CASE
                    WHEN (((identified.payload -> 'created_at'::text) #>> '{}'::text[]) ~ '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?$'::text) THEN
                    CASE
                        WHEN
                        CASE
                            WHEN ((substr(((identified.payload -> 'created_at'::text) #>> '{}'::text[]), 9, 2))::integer <= 28) THEN true
                            ELSE (((substr(((identified.payload -> 'created_at'::text) #>> '{}'::text[]), 9, 2))::integer)::numeric <= EXTRACT(day FROM ((((substr(((identified.payload -> 'created_at'::text) #>> '{}'::text[]), 1, 7) || '-01'::text))::date + '1 mon'::interval) - '1 day'::interval)))
                        END THEN ((((identified.payload -> 'created_at'::text) #>> '{}'::text[]))::timestamp without time zone AT TIME ZONE 'UTC'::text)
                        ELSE NULL::timestamp with time zone
                    END
                    WHEN (((identified.payload -> 'created_at'::text) #>> '{}'::text[]) ~ '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)$'::text) THEN
                    CASE
                        WHEN
                        CASE
                            WHEN ((substr(((identified.payload -> 'created_at'::text) #>> '{}'::text[]), 9, 2))::integer <= 28) THEN true
                            ELSE (((substr(((identified.payload -> 'created_at'::text) #>> '{}'::text[]), 9, 2))::integer)::numeric <= EXTRACT(day FROM ((((substr(((identified.payload -> 'created_at'::text) #>> '{}'::text[]), 1, 7) || '-01'::text))::date + '1 mon'::interval) - '1 day'::interval)))
                        END THEN (((identified.payload -> 'created_at'::text) #>> '{}'::text[]))::timestamp with time zone
                        ELSE NULL::timestamp with time zone
                    END
                    ELSE NULL::timestamp with time zone
                END AS created_at,
            ((identified.payload -> 'created_at'::text))::text AS created_at_raw,
                CASE
                    WHEN (((identified.payload -> 'updated_at'::text) #>> '{}'::text[]) ~ '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?$'::text) THEN
                    CASE
                        WHEN
                        CASE
                            WHEN ((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 9, 2))::integer <= 28) THEN true
                            ELSE (((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 9, 2))::integer)::numeric <= EXTRACT(day FROM ((((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 1, 7) || '-01'::text))::date + '1 mon'::interval) - '1 day'::interval)))
                        END THEN ((((identified.payload -> 'updated_at'::text) #>> '{}'::text[]))::timestamp without time zone AT TIME ZONE 'UTC'::text)
                        ELSE NULL::timestamp with time zone
                    END
                    WHEN (((identified.payload -> 'updated_at'::text) #>> '{}'::text[]) ~ '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)$'::text) THEN
                    CASE
                        WHEN
                        CASE
                            WHEN ((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 9, 2))::integer <= 28) THEN true
                            ELSE (((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 9, 2))::integer)::numeric <= EXTRACT(day FROM ((((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 1, 7) || '-01'::text))::date + '1 mon'::interval) - '1 day'::interval)))
                        END THEN (((identified.payload -> 'updated_at'::text) #>> '{}'::text[]))::timestamp with time zone
                        ELSE NULL::timestamp with time zone
                    END
                    ELSE NULL::timestamp with time zone
                END AS updated_at,
            ((identified.payload -> 'updated_at'::text))::text AS updated_at_raw,
                CASE
                    WHEN (identified.payload IS NOT NULL) THEN NULLIF(concat_ws(', '::text,
                    CASE
                        WHEN ((identified.payload -> 'first_name'::text) IS NULL) THEN 'first_name'::text
                        ELSE NULL::text
                    END,
                    CASE
                        WHEN ((identified.payload -> 'last_name'::text) IS NULL) THEN 'last_name'::text
                        ELSE NULL::text
                    END,
                    CASE
                        WHEN ((identified.payload -> 'gender'::text) IS NULL) THEN 'gender'::text
                        ELSE NULL::text
                    END,
                    CASE
                        WHEN ((identified.payload -> 'favorite_genres'::text) IS NULL) THEN 'favorite_genres'::text
                        ELSE NULL::text
                    END,
                    CASE
                        WHEN ((identified.payload -> 'email'::text) IS NULL) THEN 'email'::text
                        ELSE NULL::text
                    END), ''::text)
                    ELSE NULL::text
                END AS absent_fields,
            NULLIF(concat_ws(', '::text,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'first_name'::text)) <> ALL (ARRAY['string'::text, 'null'::text])) THEN 'first_name'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'last_name'::text)) <> ALL (ARRAY['string'::text, 'null'::text])) THEN 'last_name'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'gender'::text)) <> ALL (ARRAY['string'::text, 'null'::text])) THEN 'gender'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'favorite_genres'::text)) <> ALL (ARRAY['string'::text, 'null'::text])) THEN 'favorite_genres'::text
                    ELSE NULL::text
                END), ''::text) AS mistyped_fields,
                CASE
                    WHEN (jsonb_typeof(identified.payload) = 'object'::text) THEN NULLIF(translate((jsonb_path_query_array((identified.payload - ARRAY['first_name'::text, 'last_name'::text, 'gender'::text, 'favorite_genres'::text, 'id'::text, 'email'::text, 'created_at'::text, 'updated_at'::text]), '$.keyvalue()."key"'::jsonpath))::text, '[]"'::text, ''::text), ''::text)
                    ELSE NULL::text
                END AS unknown_fields,
            (identified.payload IS NULL) AS is_removal,
            identified.version_seq,
            identified._dlt_load_id AS _load_id,
            identified._dlt_id
           FROM identified
        )
 SELECT key,
    id,
    id_raw,
    first_name,
    last_name,
    email,
    email_raw,
    gender,
    favorite_genres,
    created_at,
    created_at_raw,
    updated_at,
    updated_at_raw,
    absent_fields,
    mistyped_fields,
    unknown_fields,
    is_removal,
    version_seq,
    _load_id,
    _dlt_id
   FROM renamed;

ALTER VIEW prep.stg_moovitamix__users OWNER TO moovitamix_transformer;

CREATE VIEW prep.int_published_users AS
 SELECT key,
    id,
    id_raw,
    first_name,
    last_name,
    email,
    email_raw,
    gender,
    favorite_genres,
    created_at,
    created_at_raw,
    updated_at,
    updated_at_raw,
    absent_fields,
    mistyped_fields,
    unknown_fields,
    is_removal,
    version_seq,
    _load_id,
    _dlt_id
   FROM prep.stg_moovitamix__users staged
  WHERE ((EXISTS ( SELECT 1
           FROM gate.loads loads
          WHERE ((loads.load_id = (staged._load_id)::text) AND (loads.table_name = 'users'::text) AND (loads.state = ANY (ARRAY['accepted'::text, 'accepted_with_quarantine'::text, 'released'::text]))))) AND (NOT (EXISTS ( SELECT 1
           FROM gate.quarantined_rows quarantined_rows
          WHERE ((quarantined_rows.dlt_id = (staged._dlt_id)::text) AND (quarantined_rows.table_name = 'users'::text) AND (quarantined_rows.outcome IS DISTINCT FROM 'freed'::text))))));

ALTER VIEW prep.int_published_users OWNER TO moovitamix_transformer;

CREATE TABLE staging.scans (
    table_name character varying NOT NULL,
    total bigint NOT NULL,
    rows_read bigint NOT NULL,
    rows_unchanged bigint NOT NULL,
    rows_landed bigint NOT NULL,
    rows_removed bigint NOT NULL,
    rows_unreadable bigint NOT NULL,
    keys_known bigint NOT NULL,
    passes bigint NOT NULL,
    keys_unsettled bigint,
    keys_delivered bigint,
    keys_lost bigint,
    keys_changed bigint,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    _dlt_load_id character varying(64) NOT NULL,
    _dlt_id character varying(64) NOT NULL,
    version_seq bigint NOT NULL
);

ALTER TABLE ONLY staging.scans REPLICA IDENTITY FULL;

ALTER TABLE staging.scans OWNER TO moovitamix_loader;

CREATE VIEW prep.int_favorite_genres_told AS
 SELECT versions.id,
    versions.favorite_genres,
        CASE
            WHEN (row_number() OVER by_version > 1) THEN scans.finished_at
            ELSE NULL::timestamp with time zone
        END AS told_from,
    lead(scans.finished_at) OVER by_version AS told_until
   FROM (prep.int_published_users versions
     JOIN staging.scans scans ON ((((versions._load_id)::text = (scans._dlt_load_id)::text) AND ((scans.table_name)::text = 'users'::text))))
  WHERE ((NOT versions.is_removal) AND (versions.id IS NOT NULL))
  WINDOW by_version AS (PARTITION BY versions.id ORDER BY versions.version_seq);

ALTER VIEW prep.int_favorite_genres_told OWNER TO moovitamix_transformer;

CREATE UNLOGGED TABLE prep.int_late_listens (
    user_id bigint,
    track_id bigint,
    listened_at timestamp with time zone
);

ALTER TABLE prep.int_late_listens OWNER TO moovitamix_transformer;

CREATE UNLOGGED TABLE prep.int_listens (
    id bigint,
    user_id bigint,
    track_id bigint,
    listened_at timestamp with time zone,
    created_at timestamp with time zone,
    _load_id character varying(64),
    is_user_unknown boolean,
    is_track_unknown boolean
);

ALTER TABLE prep.int_listens OWNER TO moovitamix_transformer;

CREATE UNLOGGED TABLE prep.int_present_listens (
    id bigint,
    user_id bigint,
    track_id bigint,
    listened_at timestamp with time zone,
    created_at timestamp with time zone,
    _load_id text
);

ALTER TABLE prep.int_present_listens OWNER TO moovitamix_transformer;

CREATE TABLE staging.listen_history (
    key character varying NOT NULL,
    payload jsonb,
    content_hash character varying NOT NULL,
    _dlt_load_id character varying(64) NOT NULL,
    _dlt_id character varying(64) NOT NULL,
    version_seq bigint NOT NULL
);

ALTER TABLE ONLY staging.listen_history REPLICA IDENTITY FULL;

ALTER TABLE staging.listen_history OWNER TO moovitamix_loader;

CREATE VIEW prep.stg_moovitamix__listen_history AS
 WITH source AS (
         SELECT listen_history.key,
            listen_history.payload,
            listen_history.content_hash,
            listen_history._dlt_load_id,
            listen_history._dlt_id,
            listen_history.version_seq
           FROM staging.listen_history
        ), identified AS (
         SELECT source.key,
            source.payload,
            source.content_hash,
            source._dlt_load_id,
            source._dlt_id,
            source.version_seq,
            COALESCE((source.payload -> 'user_id'::text), ((source.key)::jsonb -> 0)) AS user_id_json,
            COALESCE((source.payload -> 'created_at'::text), ((source.key)::jsonb -> 1)) AS created_at_json
           FROM source
        ), renamed AS (
         SELECT identified.key,
                CASE
                    WHEN (jsonb_typeof(identified.user_id_json) = 'number'::text) THEN
                    CASE
                        WHEN (((identified.user_id_json)::numeric = trunc((identified.user_id_json)::numeric)) AND (((identified.user_id_json)::numeric >= ('-9223372036854775808'::bigint)::numeric) AND ((identified.user_id_json)::numeric <= ('9223372036854775807'::bigint)::numeric))) THEN (identified.user_id_json)::bigint
                        ELSE NULL::bigint
                    END
                    ELSE NULL::bigint
                END AS user_id,
            ((identified.payload -> 'user_id'::text))::text AS user_id_raw,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'items'::text)) = 'array'::text) THEN
                    CASE
                        WHEN ((((identified.payload -> 'items'::text))::text ~ '^\[[0-9, ]*\]$'::text) AND (((identified.payload -> 'items'::text))::text !~ '[0-9]{19}'::text)) THEN (identified.payload -> 'items'::text)
                        WHEN (NOT jsonb_path_exists((identified.payload -> 'items'::text), 'strict $[*]?(((@.type() != "number" || @ != @.floor()) || @ < -9223372036854775808) || @ > 9223372036854775807)'::jsonpath)) THEN (identified.payload -> 'items'::text)
                        ELSE NULL::jsonb
                    END
                    ELSE NULL::jsonb
                END AS items,
            ((identified.payload -> 'items'::text))::text AS items_raw,
                CASE
                    WHEN ((identified.created_at_json #>> '{}'::text[]) ~ '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?$'::text) THEN
                    CASE
                        WHEN
                        CASE
                            WHEN ((substr((identified.created_at_json #>> '{}'::text[]), 9, 2))::integer <= 28) THEN true
                            ELSE (((substr((identified.created_at_json #>> '{}'::text[]), 9, 2))::integer)::numeric <= EXTRACT(day FROM ((((substr((identified.created_at_json #>> '{}'::text[]), 1, 7) || '-01'::text))::date + '1 mon'::interval) - '1 day'::interval)))
                        END THEN (((identified.created_at_json #>> '{}'::text[]))::timestamp without time zone AT TIME ZONE 'UTC'::text)
                        ELSE NULL::timestamp with time zone
                    END
                    WHEN ((identified.created_at_json #>> '{}'::text[]) ~ '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)$'::text) THEN
                    CASE
                        WHEN
                        CASE
                            WHEN ((substr((identified.created_at_json #>> '{}'::text[]), 9, 2))::integer <= 28) THEN true
                            ELSE (((substr((identified.created_at_json #>> '{}'::text[]), 9, 2))::integer)::numeric <= EXTRACT(day FROM ((((substr((identified.created_at_json #>> '{}'::text[]), 1, 7) || '-01'::text))::date + '1 mon'::interval) - '1 day'::interval)))
                        END THEN ((identified.created_at_json #>> '{}'::text[]))::timestamp with time zone
                        ELSE NULL::timestamp with time zone
                    END
                    ELSE NULL::timestamp with time zone
                END AS created_at,
            ((identified.payload -> 'created_at'::text))::text AS created_at_raw,
                CASE
                    WHEN (((identified.payload -> 'updated_at'::text) #>> '{}'::text[]) ~ '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?$'::text) THEN
                    CASE
                        WHEN
                        CASE
                            WHEN ((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 9, 2))::integer <= 28) THEN true
                            ELSE (((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 9, 2))::integer)::numeric <= EXTRACT(day FROM ((((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 1, 7) || '-01'::text))::date + '1 mon'::interval) - '1 day'::interval)))
                        END THEN ((((identified.payload -> 'updated_at'::text) #>> '{}'::text[]))::timestamp without time zone AT TIME ZONE 'UTC'::text)
                        ELSE NULL::timestamp with time zone
                    END
                    WHEN (((identified.payload -> 'updated_at'::text) #>> '{}'::text[]) ~ '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)$'::text) THEN
                    CASE
                        WHEN
                        CASE
                            WHEN ((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 9, 2))::integer <= 28) THEN true
                            ELSE (((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 9, 2))::integer)::numeric <= EXTRACT(day FROM ((((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 1, 7) || '-01'::text))::date + '1 mon'::interval) - '1 day'::interval)))
                        END THEN (((identified.payload -> 'updated_at'::text) #>> '{}'::text[]))::timestamp with time zone
                        ELSE NULL::timestamp with time zone
                    END
                    ELSE NULL::timestamp with time zone
                END AS updated_at,
            ((identified.payload -> 'updated_at'::text))::text AS updated_at_raw,
                CASE
                    WHEN (identified.payload IS NOT NULL) THEN NULLIF(concat_ws(', '::text,
                    CASE
                        WHEN ((identified.payload -> 'items'::text) IS NULL) THEN 'items'::text
                        ELSE NULL::text
                    END), ''::text)
                    ELSE NULL::text
                END AS absent_fields,
                CASE
                    WHEN ((jsonb_typeof((identified.payload -> 'items'::text)) <> 'null'::text) AND (
                    CASE
                        WHEN (jsonb_typeof((identified.payload -> 'items'::text)) = 'array'::text) THEN
                        CASE
                            WHEN ((((identified.payload -> 'items'::text))::text ~ '^\[[0-9, ]*\]$'::text) AND (((identified.payload -> 'items'::text))::text !~ '[0-9]{19}'::text)) THEN (identified.payload -> 'items'::text)
                            WHEN (NOT jsonb_path_exists((identified.payload -> 'items'::text), 'strict $[*]?(((@.type() != "number" || @ != @.floor()) || @ < -9223372036854775808) || @ > 9223372036854775807)'::jsonpath)) THEN (identified.payload -> 'items'::text)
                            ELSE NULL::jsonb
                        END
                        ELSE NULL::jsonb
                    END IS NULL)) THEN 'items'::text
                    ELSE NULL::text
                END AS mistyped_fields,
                CASE
                    WHEN (jsonb_typeof(identified.payload) = 'object'::text) THEN NULLIF(translate((jsonb_path_query_array((identified.payload - ARRAY['user_id'::text, 'items'::text, 'created_at'::text, 'updated_at'::text]), '$.keyvalue()."key"'::jsonpath))::text, '[]"'::text, ''::text), ''::text)
                    ELSE NULL::text
                END AS unknown_fields,
            (identified.payload IS NULL) AS is_removal,
            identified.version_seq,
            identified._dlt_load_id AS _load_id,
            identified._dlt_id
           FROM identified
        )
 SELECT key,
    user_id,
    user_id_raw,
    items,
    items_raw,
    created_at,
    created_at_raw,
    updated_at,
    updated_at_raw,
    absent_fields,
    mistyped_fields,
    unknown_fields,
    is_removal,
    version_seq,
    _load_id,
    _dlt_id
   FROM renamed;

ALTER VIEW prep.stg_moovitamix__listen_history OWNER TO moovitamix_transformer;

CREATE VIEW prep.int_published_listen_history AS
 SELECT key,
    user_id,
    user_id_raw,
    items,
    items_raw,
    created_at,
    created_at_raw,
    updated_at,
    updated_at_raw,
    absent_fields,
    mistyped_fields,
    unknown_fields,
    is_removal,
    version_seq,
    _load_id,
    _dlt_id
   FROM prep.stg_moovitamix__listen_history staged
  WHERE ((EXISTS ( SELECT 1
           FROM gate.loads loads
          WHERE ((loads.load_id = (staged._load_id)::text) AND (loads.table_name = 'listen_history'::text) AND (loads.state = ANY (ARRAY['accepted'::text, 'accepted_with_quarantine'::text, 'released'::text]))))) AND (NOT (EXISTS ( SELECT 1
           FROM gate.quarantined_rows quarantined_rows
          WHERE ((quarantined_rows.dlt_id = (staged._dlt_id)::text) AND (quarantined_rows.table_name = 'listen_history'::text) AND (quarantined_rows.outcome IS DISTINCT FROM 'freed'::text))))));

ALTER VIEW prep.int_published_listen_history OWNER TO moovitamix_transformer;

CREATE TABLE staging.tracks (
    key character varying NOT NULL,
    payload jsonb,
    content_hash character varying NOT NULL,
    _dlt_load_id character varying(64) NOT NULL,
    _dlt_id character varying(64) NOT NULL,
    version_seq bigint NOT NULL
);

ALTER TABLE ONLY staging.tracks REPLICA IDENTITY FULL;

ALTER TABLE staging.tracks OWNER TO moovitamix_loader;

CREATE VIEW prep.stg_moovitamix__tracks AS
 WITH source AS (
         SELECT tracks.key,
            tracks.payload,
            tracks.content_hash,
            tracks._dlt_load_id,
            tracks._dlt_id,
            tracks.version_seq
           FROM staging.tracks
        ), identified AS (
         SELECT source.key,
            source.payload,
            source.content_hash,
            source._dlt_load_id,
            source._dlt_id,
            source.version_seq,
                CASE
                    WHEN (jsonb_typeof(COALESCE((source.payload -> 'id'::text), ((source.key)::jsonb -> 0))) = 'number'::text) THEN
                    CASE
                        WHEN (((COALESCE((source.payload -> 'id'::text), ((source.key)::jsonb -> 0)))::numeric = trunc((COALESCE((source.payload -> 'id'::text), ((source.key)::jsonb -> 0)))::numeric)) AND (((COALESCE((source.payload -> 'id'::text), ((source.key)::jsonb -> 0)))::numeric >= ('-9223372036854775808'::bigint)::numeric) AND ((COALESCE((source.payload -> 'id'::text), ((source.key)::jsonb -> 0)))::numeric <= ('9223372036854775807'::bigint)::numeric))) THEN (COALESCE((source.payload -> 'id'::text), ((source.key)::jsonb -> 0)))::bigint
                        ELSE NULL::bigint
                    END
                    ELSE NULL::bigint
                END AS whole_id
           FROM source
        ), renamed AS (
         SELECT identified.key,
                CASE
                    WHEN ((identified.key)::text = (('['::text || identified.whole_id) || ']'::text)) THEN identified.whole_id
                    ELSE NULL::bigint
                END AS id,
            ((identified.payload -> 'id'::text))::text AS id_raw,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'name'::text)) = 'string'::text) THEN ((identified.payload -> 'name'::text) #>> '{}'::text[])
                    ELSE NULL::text
                END AS name,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'artist'::text)) = 'string'::text) THEN ((identified.payload -> 'artist'::text) #>> '{}'::text[])
                    ELSE NULL::text
                END AS artist,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'songwriters'::text)) = 'string'::text) THEN ((identified.payload -> 'songwriters'::text) #>> '{}'::text[])
                    ELSE NULL::text
                END AS songwriters,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'genres'::text)) = 'string'::text) THEN ((identified.payload -> 'genres'::text) #>> '{}'::text[])
                    ELSE NULL::text
                END AS genres,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'album'::text)) = 'string'::text) THEN ((identified.payload -> 'album'::text) #>> '{}'::text[])
                    ELSE NULL::text
                END AS album,
                CASE
                    WHEN (((identified.payload -> 'duration'::text) #>> '{}'::text[]) ~ '^[0-9]{2}:[0-5][0-9]$'::text) THEN make_interval(mins => (split_part(((identified.payload -> 'duration'::text) #>> '{}'::text[]), ':'::text, 1))::integer, secs => ((split_part(((identified.payload -> 'duration'::text) #>> '{}'::text[]), ':'::text, 2))::integer)::double precision)
                    ELSE NULL::interval
                END AS duration,
            ((identified.payload -> 'duration'::text))::text AS duration_raw,
                CASE
                    WHEN (((identified.payload -> 'created_at'::text) #>> '{}'::text[]) ~ '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?$'::text) THEN
                    CASE
                        WHEN
                        CASE
                            WHEN ((substr(((identified.payload -> 'created_at'::text) #>> '{}'::text[]), 9, 2))::integer <= 28) THEN true
                            ELSE (((substr(((identified.payload -> 'created_at'::text) #>> '{}'::text[]), 9, 2))::integer)::numeric <= EXTRACT(day FROM ((((substr(((identified.payload -> 'created_at'::text) #>> '{}'::text[]), 1, 7) || '-01'::text))::date + '1 mon'::interval) - '1 day'::interval)))
                        END THEN ((((identified.payload -> 'created_at'::text) #>> '{}'::text[]))::timestamp without time zone AT TIME ZONE 'UTC'::text)
                        ELSE NULL::timestamp with time zone
                    END
                    WHEN (((identified.payload -> 'created_at'::text) #>> '{}'::text[]) ~ '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)$'::text) THEN
                    CASE
                        WHEN
                        CASE
                            WHEN ((substr(((identified.payload -> 'created_at'::text) #>> '{}'::text[]), 9, 2))::integer <= 28) THEN true
                            ELSE (((substr(((identified.payload -> 'created_at'::text) #>> '{}'::text[]), 9, 2))::integer)::numeric <= EXTRACT(day FROM ((((substr(((identified.payload -> 'created_at'::text) #>> '{}'::text[]), 1, 7) || '-01'::text))::date + '1 mon'::interval) - '1 day'::interval)))
                        END THEN (((identified.payload -> 'created_at'::text) #>> '{}'::text[]))::timestamp with time zone
                        ELSE NULL::timestamp with time zone
                    END
                    ELSE NULL::timestamp with time zone
                END AS created_at,
            ((identified.payload -> 'created_at'::text))::text AS created_at_raw,
                CASE
                    WHEN (((identified.payload -> 'updated_at'::text) #>> '{}'::text[]) ~ '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?$'::text) THEN
                    CASE
                        WHEN
                        CASE
                            WHEN ((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 9, 2))::integer <= 28) THEN true
                            ELSE (((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 9, 2))::integer)::numeric <= EXTRACT(day FROM ((((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 1, 7) || '-01'::text))::date + '1 mon'::interval) - '1 day'::interval)))
                        END THEN ((((identified.payload -> 'updated_at'::text) #>> '{}'::text[]))::timestamp without time zone AT TIME ZONE 'UTC'::text)
                        ELSE NULL::timestamp with time zone
                    END
                    WHEN (((identified.payload -> 'updated_at'::text) #>> '{}'::text[]) ~ '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)$'::text) THEN
                    CASE
                        WHEN
                        CASE
                            WHEN ((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 9, 2))::integer <= 28) THEN true
                            ELSE (((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 9, 2))::integer)::numeric <= EXTRACT(day FROM ((((substr(((identified.payload -> 'updated_at'::text) #>> '{}'::text[]), 1, 7) || '-01'::text))::date + '1 mon'::interval) - '1 day'::interval)))
                        END THEN (((identified.payload -> 'updated_at'::text) #>> '{}'::text[]))::timestamp with time zone
                        ELSE NULL::timestamp with time zone
                    END
                    ELSE NULL::timestamp with time zone
                END AS updated_at,
            ((identified.payload -> 'updated_at'::text))::text AS updated_at_raw,
                CASE
                    WHEN (identified.payload IS NOT NULL) THEN NULLIF(concat_ws(', '::text,
                    CASE
                        WHEN ((identified.payload -> 'name'::text) IS NULL) THEN 'name'::text
                        ELSE NULL::text
                    END,
                    CASE
                        WHEN ((identified.payload -> 'artist'::text) IS NULL) THEN 'artist'::text
                        ELSE NULL::text
                    END,
                    CASE
                        WHEN ((identified.payload -> 'songwriters'::text) IS NULL) THEN 'songwriters'::text
                        ELSE NULL::text
                    END,
                    CASE
                        WHEN ((identified.payload -> 'genres'::text) IS NULL) THEN 'genres'::text
                        ELSE NULL::text
                    END,
                    CASE
                        WHEN ((identified.payload -> 'album'::text) IS NULL) THEN 'album'::text
                        ELSE NULL::text
                    END), ''::text)
                    ELSE NULL::text
                END AS absent_fields,
            NULLIF(concat_ws(', '::text,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'name'::text)) <> ALL (ARRAY['string'::text, 'null'::text])) THEN 'name'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'artist'::text)) <> ALL (ARRAY['string'::text, 'null'::text])) THEN 'artist'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'songwriters'::text)) <> ALL (ARRAY['string'::text, 'null'::text])) THEN 'songwriters'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'genres'::text)) <> ALL (ARRAY['string'::text, 'null'::text])) THEN 'genres'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (jsonb_typeof((identified.payload -> 'album'::text)) <> ALL (ARRAY['string'::text, 'null'::text])) THEN 'album'::text
                    ELSE NULL::text
                END), ''::text) AS mistyped_fields,
                CASE
                    WHEN (jsonb_typeof(identified.payload) = 'object'::text) THEN NULLIF(translate((jsonb_path_query_array((identified.payload - ARRAY['name'::text, 'artist'::text, 'songwriters'::text, 'genres'::text, 'album'::text, 'id'::text, 'duration'::text, 'created_at'::text, 'updated_at'::text]), '$.keyvalue()."key"'::jsonpath))::text, '[]"'::text, ''::text), ''::text)
                    ELSE NULL::text
                END AS unknown_fields,
            (identified.payload IS NULL) AS is_removal,
            identified.version_seq,
            identified._dlt_load_id AS _load_id,
            identified._dlt_id
           FROM identified
        )
 SELECT key,
    id,
    id_raw,
    name,
    artist,
    songwriters,
    genres,
    album,
    duration,
    duration_raw,
    created_at,
    created_at_raw,
    updated_at,
    updated_at_raw,
    absent_fields,
    mistyped_fields,
    unknown_fields,
    is_removal,
    version_seq,
    _load_id,
    _dlt_id
   FROM renamed;

ALTER VIEW prep.stg_moovitamix__tracks OWNER TO moovitamix_transformer;

CREATE VIEW prep.int_published_tracks AS
 SELECT key,
    id,
    id_raw,
    name,
    artist,
    songwriters,
    genres,
    album,
    duration,
    duration_raw,
    created_at,
    created_at_raw,
    updated_at,
    updated_at_raw,
    absent_fields,
    mistyped_fields,
    unknown_fields,
    is_removal,
    version_seq,
    _load_id,
    _dlt_id
   FROM prep.stg_moovitamix__tracks staged
  WHERE ((EXISTS ( SELECT 1
           FROM gate.loads loads
          WHERE ((loads.load_id = (staged._load_id)::text) AND (loads.table_name = 'tracks'::text) AND (loads.state = ANY (ARRAY['accepted'::text, 'accepted_with_quarantine'::text, 'released'::text]))))) AND (NOT (EXISTS ( SELECT 1
           FROM gate.quarantined_rows quarantined_rows
          WHERE ((quarantined_rows.dlt_id = (staged._dlt_id)::text) AND (quarantined_rows.table_name = 'tracks'::text) AND (quarantined_rows.outcome IS DISTINCT FROM 'freed'::text))))));

ALTER VIEW prep.int_published_tracks OWNER TO moovitamix_transformer;

CREATE UNLOGGED TABLE prep.int_recounted_users (
    user_id bigint
);

ALTER TABLE prep.int_recounted_users OWNER TO moovitamix_transformer;

CREATE UNLOGGED TABLE prep.int_touched_tracks (
    id bigint
);

ALTER TABLE prep.int_touched_tracks OWNER TO moovitamix_transformer;

CREATE UNLOGGED TABLE prep.int_touched_users (
    id bigint
);

ALTER TABLE prep.int_touched_users OWNER TO moovitamix_transformer;

CREATE VIEW prep.int_track_genres_told AS
 WITH tracks AS (
         SELECT versions.id,
            versions.genres,
                CASE
                    WHEN (row_number() OVER by_version > 1) THEN scans.finished_at
                    ELSE NULL::timestamp with time zone
                END AS told_from,
            lead(scans.finished_at) OVER by_version AS told_until
           FROM (prep.int_published_tracks versions
             JOIN staging.scans scans ON ((((versions._load_id)::text = (scans._dlt_load_id)::text) AND ((scans.table_name)::text = 'tracks'::text))))
          WHERE ((NOT versions.is_removal) AND (versions.id IS NOT NULL))
          WINDOW by_version AS (PARTITION BY versions.id ORDER BY versions.version_seq)
        )
 SELECT DISTINCT tracks.id AS track_id,
    TRIM(BOTH FROM names.genre) AS genre,
    tracks.told_from,
    tracks.told_until
   FROM (tracks
     CROSS JOIN LATERAL string_to_table(prep.normalized_text(tracks.genres), ','::text) names(genre))
  WHERE ((TRIM(BOTH FROM names.genre) <> ''::text) AND (octet_length(TRIM(BOTH FROM names.genre)) <= 1000));

ALTER VIEW prep.int_track_genres_told OWNER TO moovitamix_transformer;

CREATE UNLOGGED TABLE prep.int_unparked_listens (
    id bigint
);

ALTER TABLE prep.int_unparked_listens OWNER TO moovitamix_transformer;

CREATE UNLOGGED TABLE prep.int_vanished_listens (
    user_id bigint,
    listened_at timestamp with time zone,
    id bigint
);

ALTER TABLE prep.int_vanished_listens OWNER TO moovitamix_transformer;

CREATE TABLE prep.listen_history_2025_11 (
    id bigint CONSTRAINT listen_history_id_not_null NOT NULL,
    user_id bigint CONSTRAINT listen_history_user_id_not_null NOT NULL,
    track_id bigint CONSTRAINT listen_history_track_id_not_null NOT NULL,
    listened_at timestamp with time zone CONSTRAINT listen_history_listened_at_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT listen_history_created_at_not_null NOT NULL,
    _load_id text CONSTRAINT listen_history__load_id_not_null NOT NULL
);

ALTER TABLE prep.listen_history_2025_11 OWNER TO moovitamix_transformer;

CREATE TABLE prep.listen_history_2025_12 (
    id bigint CONSTRAINT listen_history_id_not_null NOT NULL,
    user_id bigint CONSTRAINT listen_history_user_id_not_null NOT NULL,
    track_id bigint CONSTRAINT listen_history_track_id_not_null NOT NULL,
    listened_at timestamp with time zone CONSTRAINT listen_history_listened_at_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT listen_history_created_at_not_null NOT NULL,
    _load_id text CONSTRAINT listen_history__load_id_not_null NOT NULL
);

ALTER TABLE prep.listen_history_2025_12 OWNER TO moovitamix_transformer;

CREATE TABLE prep.listen_history_2026_01 (
    id bigint CONSTRAINT listen_history_id_not_null NOT NULL,
    user_id bigint CONSTRAINT listen_history_user_id_not_null NOT NULL,
    track_id bigint CONSTRAINT listen_history_track_id_not_null NOT NULL,
    listened_at timestamp with time zone CONSTRAINT listen_history_listened_at_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT listen_history_created_at_not_null NOT NULL,
    _load_id text CONSTRAINT listen_history__load_id_not_null NOT NULL
);

ALTER TABLE prep.listen_history_2026_01 OWNER TO moovitamix_transformer;

CREATE TABLE prep.parked_listens (
    id bigint NOT NULL,
    user_id bigint,
    track_id bigint,
    is_user_unknown boolean,
    is_track_unknown boolean,
    listened_at timestamp with time zone,
    created_at timestamp with time zone,
    _load_id text
);

ALTER TABLE prep.parked_listens OWNER TO moovitamix_transformer;

CREATE TABLE prep.respelled_documents (
    key text NOT NULL,
    user_id bigint,
    created_at timestamp with time zone
);

ALTER TABLE prep.respelled_documents OWNER TO moovitamix_transformer;

CREATE TABLE staging._dlt_loads (
    load_id character varying(64) NOT NULL,
    schema_name character varying,
    status bigint NOT NULL,
    inserted_at timestamp with time zone NOT NULL,
    schema_version_hash character varying
);

ALTER TABLE ONLY staging._dlt_loads REPLICA IDENTITY FULL;

ALTER TABLE staging._dlt_loads OWNER TO moovitamix_loader;

CREATE TABLE staging._dlt_pipeline_state (
    version bigint NOT NULL,
    engine_version bigint NOT NULL,
    pipeline_name character varying NOT NULL,
    state character varying NOT NULL,
    created_at timestamp with time zone NOT NULL,
    version_hash character varying,
    _dlt_load_id character varying(64) NOT NULL,
    _dlt_id character varying NOT NULL
);

ALTER TABLE ONLY staging._dlt_pipeline_state REPLICA IDENTITY FULL;

ALTER TABLE staging._dlt_pipeline_state OWNER TO moovitamix_loader;

CREATE TABLE staging._dlt_version (
    version bigint NOT NULL,
    engine_version bigint NOT NULL,
    inserted_at timestamp with time zone NOT NULL,
    schema_name character varying NOT NULL,
    version_hash character varying NOT NULL,
    schema character varying NOT NULL
);

ALTER TABLE ONLY staging._dlt_version REPLICA IDENTITY FULL;

ALTER TABLE staging._dlt_version OWNER TO moovitamix_loader;

ALTER TABLE staging.listen_history ALTER COLUMN version_seq ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME staging.listen_history_version_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE staging.scans ALTER COLUMN version_seq ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME staging.scans_version_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE staging.tracks ALTER COLUMN version_seq ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME staging.tracks_version_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE staging.unreadable_rows (
    table_name character varying NOT NULL,
    key character varying,
    raw character varying NOT NULL,
    reason character varying NOT NULL,
    content_hash character varying NOT NULL,
    _dlt_load_id character varying NOT NULL,
    _dlt_id character varying NOT NULL
);

ALTER TABLE ONLY staging.unreadable_rows REPLICA IDENTITY FULL;

ALTER TABLE staging.unreadable_rows OWNER TO moovitamix_loader;

ALTER TABLE staging.users ALTER COLUMN version_seq ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME staging.users_version_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY marts.listen_history ATTACH PARTITION prep.listen_history_2025_11 FOR VALUES FROM ('2025-11-01 00:00:00+00') TO ('2025-12-01 00:00:00+00');

ALTER TABLE ONLY marts.listen_history ATTACH PARTITION prep.listen_history_2025_12 FOR VALUES FROM ('2025-12-01 00:00:00+00') TO ('2026-01-01 00:00:00+00');

ALTER TABLE ONLY marts.listen_history ATTACH PARTITION prep.listen_history_2026_01 FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00');

COPY gate.decisions (decision_seq, decided_at, verb, load_id, table_name, operator, decided_by, reason, details) FROM stdin;
\.

COPY gate.erasures (tombstone, aliases, key_check, erased_at) FROM stdin;
\.

COPY gate.loads (load_id, table_name, state, rows_read, rows_landed, rows_removed, rows_quarantined, verdict, judged_at, decided_by, reason) FROM stdin;
1795927062.3677828	users	accepted	10	10	0	0	{"failed_rules": []}	2026-11-29 04:37:47.097807+00	gate	all rules passed
1795927062.3677828	tracks	accepted	10	10	0	0	{"failed_rules": []}	2026-11-29 04:37:47.228392+00	gate	all rules passed
1795927062.3677828	listen_history	accepted	10	10	0	0	{"failed_rules": []}	2026-11-29 04:37:47.337545+00	gate	all rules passed
1795927068.6063192	users	accepted_with_quarantine	11	4	0	2	{"failed_rules": [{"rows": 1, "rule": "id_is_a_whole_number", "examples": [{"dlt_id": "KjVstDo5ElNu7w"}], "severity": "warning"}, {"rows": 1, "rule": "updated_at_is_a_time", "examples": [{"dlt_id": "Rn1wnjwkg75POQ"}], "severity": "warning"}]}	2026-11-29 04:37:49.473419+00	gate	2 bad rows of 11 read
1795927068.6063192	tracks	accepted	11	2	0	0	{"failed_rules": []}	2026-11-29 04:37:49.589982+00	gate	all rules passed
1795927068.6063192	listen_history	accepted	11	4	0	0	{"failed_rules": []}	2026-11-29 04:37:49.698017+00	gate	all rules passed
1795927070.9978828	users	accepted	12	3	1	0	{"failed_rules": []}	2026-11-29 04:37:51.583046+00	gate	all rules passed
1795927070.9978828	tracks	accepted	12	2	0	0	{"failed_rules": []}	2026-11-29 04:37:51.700581+00	gate	all rules passed
1795927070.9978828	listen_history	accepted	12	3	0	0	{"failed_rules": []}	2026-11-29 04:37:51.807476+00	gate	all rules passed
\.

COPY gate.publications (seq, load_id, table_name, kind, published_at) FROM stdin;
1	1795927062.3677828	users	load	2026-11-29 04:37:47.097807+00
2	1795927062.3677828	tracks	load	2026-11-29 04:37:47.228392+00
3	1795927062.3677828	listen_history	load	2026-11-29 04:37:47.337545+00
4	1795927068.6063192	users	load	2026-11-29 04:37:49.473419+00
5	1795927068.6063192	tracks	load	2026-11-29 04:37:49.589982+00
6	1795927068.6063192	listen_history	load	2026-11-29 04:37:49.698017+00
7	1795927070.9978828	users	load	2026-11-29 04:37:51.583046+00
8	1795927070.9978828	tracks	load	2026-11-29 04:37:51.700581+00
9	1795927070.9978828	listen_history	load	2026-11-29 04:37:51.807476+00
\.

COPY gate.quarantined_rows (load_id, table_name, key, dlt_id, rule, detail, quarantined_at, closed_at, outcome) FROM stdin;
1795927068.6063192	users	[null]	KjVstDo5ElNu7w	id_is_a_whole_number	\N	2026-11-29 04:37:49.473419+00	2026-11-29 04:37:51.583046+00	superseded
1795927068.6063192	users	[80237]	Rn1wnjwkg75POQ	updated_at_is_a_time	null	2026-11-29 04:37:49.473419+00	2026-11-29 04:37:51.583046+00	superseded
\.

COPY gate.told_fields (table_name, field, load_id, told_at) FROM stdin;
\.

COPY marts.track_genres (track_id, genre) FROM stdin;
74576	punk
36462	funk
30192	techno
25011	indie
24331	country
7435	country
74576	indie
3606	indie
25011	jazz
36462	rock
24319	jazz
3606	reggae
97604	classical
24331	funk
36462	indie
67639	indie
39104	rock
39104	techno
39104	classical
39383	country
\.

COPY marts.tracks (id, name, artist, songwriters, duration, genres, album, created_at, updated_at, deleted_at, _load_id) FROM stdin;
3606	wrong	Thandi Mensah	Olga Dubois, Mei Washington	00:03:15	Indie, Reggae	garden	2025-03-19 06:35:56.226832+00	2025-04-07 23:34:25.814819+00	\N	1795927062.3677828
7435	midnight before honey	Ann Müller	Peter Sato, José Kowalski	00:09:51	country	hotel	2025-04-28 11:20:24.884492+00	2025-11-11 12:01:48.026206+00	\N	1795927062.3677828
24319	hotel river	William Garcia	Kofi Kowalski	00:03:06	Jazz	paper	2025-02-09 17:01:13.991104+00	2025-12-24 04:24:04.763837+00	\N	1795927062.3677828
24331	mirror	Zoë Okafor	Mei Kowalski	00:03:37	Funk, Country	engine	2025-06-02 09:10:46.814782+00	2025-06-12 17:34:55.031895+00	\N	1795927062.3677828
30192	strong	Kofi Åberg	William Villegas	00:04:20	Techno	harbour	2024-12-27 00:33:38.043731+00	2025-05-08 07:28:24.150534+00	\N	1795927062.3677828
36462	mirror ground	José Haddad	Zoë Müller	00:05:46	Rock, Funk, Indie	garden	2025-07-04 18:43:15.38276+00	2025-08-26 17:29:05.945076+00	\N	1795927062.3677828
74576	été engine ground	Björn Åberg	Chloé Washington	00:03:02	Punk, Indie	engine	2025-04-27 13:09:12.92365+00	2025-11-08 07:32:48.53316+00	\N	1795927062.3677828
97604	mirror	Yuki Sato	Priya Núñez	00:01:32	Classical	signal	2024-12-16 22:07:02.15876+00	2025-09-01 11:59:26.369893+00	\N	1795927062.3677828
25011	before	Yuki Lin	Zoë Villegas	00:03:44	Jazz, Indie	signal	2025-01-30 16:07:23.050168+00	2026-01-01 08:47:28.569103+00	\N	1795927068.6063192
67639	wrong	Zoë Brown	Noor Villegas	00:05:37	Indie	glass	2026-01-01 14:48:12.282973+00	2026-01-01 14:48:20.116387+00	\N	1795927068.6063192
39104	voice winter winter	Priya O'Brien	Olga Washington	00:04:09	Rock, Techno, Classical	harbour	2025-12-17 15:44:28.751764+00	2026-01-02 04:50:21.241313+00	\N	1795927070.9978828
39383	ahead winter	Kofi van der Berg	Zoë Núñez	00:05:52	Country	hotel	2026-01-02 15:17:21.398976+00	2026-01-02 23:10:37.980798+00	\N	1795927070.9978828
\.

COPY marts.users (id, first_name, last_name, email, gender, favorite_genres, created_at, updated_at, deleted_at, _load_id) FROM stdin;
1900	Cameron	Garcia	cameron.garcia3999@example.com	Genderqueer	Funk	2025-10-09 05:12:41.74312+00	2025-11-14 17:49:05.457565+00	\N	1795927062.3677828
36267	Mei	Dubois	mei.dubois2448@example.com	Genderqueer	Techno	2024-12-13 12:22:25.934545+00	2025-08-14 22:25:23.071802+00	\N	1795927062.3677828
42718	Noor	Mensah	noor.mensah1183@example.com	Genderfluid	R&B	2024-11-29 18:07:58.529546+00	2025-11-09 23:21:30.089709+00	\N	1795927062.3677828
46527	Zoë	van der Berg	zoe.vanderberg4448@example.org	Gender nonconforming	Funk, Rock	2025-10-23 00:53:44.898695+00	2025-12-01 04:58:27.285387+00	\N	1795927062.3677828
74724	Cameron	Smith-Jones	cameron.smithjones9865@example.org	Gender nonconforming	R&B	2025-09-18 12:20:22.74237+00	2025-10-31 23:20:47.327458+00	\N	1795927062.3677828
78990	Mei	Villegas	mei.villegas300@example.com	Gender nonconforming	Country, Pop	2025-10-08 19:50:22.215082+00	2025-12-12 03:28:29.21783+00	\N	1795927062.3677828
90536	William	Müller	william.muller2087@example.org	Genderfluid	Blues, Indie, Punk	2025-01-05 11:37:55.775861+00	2025-05-27 23:29:48.921377+00	\N	1795927062.3677828
29669	Kelsey	Müller	kelsey.washington7644@example.com	Gender nonconforming	R&B	2025-03-11 02:43:54.825614+00	2026-01-01 15:40:29.956769+00	\N	1795927068.6063192
70377	Peter	Harris	peter.harris7948@example.com	Gender nonconforming	Blues, R&B	2026-01-01 00:41:00.596783+00	2026-01-01 21:44:18.318034+00	\N	1795927068.6063192
1326	Zoë	Mensah	zoe.brown4355@example.net	Female	Metal, Rock	2025-10-28 23:49:01.635863+00	2026-01-02 14:58:22.193238+00	\N	1795927070.9978828
28198	Amara	Villegas	amara.villegas3750@example.net	Agender	Electronic, Hip Hop, Metal	2026-01-02 19:57:03.751228+00	2026-01-02 23:54:12.402144+00	\N	1795927070.9978828
80237	Wanda	Garcia	wanda.garcia566@example.org	Gender questioning	Techno, Electronic, Indie	2025-02-09 19:24:10.037231+00	2025-10-29 10:38:05.38918+00	\N	1795927070.9978828
\.

COPY ops.owned_relations (name, recorded_at) FROM stdin;
staging._dlt_version	2026-11-29 04:37:42.244578+00
staging._dlt_loads	2026-11-29 04:37:42.244579+00
staging.users	2026-11-29 04:37:42.24458+00
staging.scans	2026-11-29 04:37:42.244581+00
prep.int_listens	2026-11-29 04:37:42.244583+00
prep.int_recounted_users	2026-11-29 04:37:42.244585+00
ops.current_runs	2026-11-29 04:37:42.244586+00
prep.int_published_users	2026-11-29 04:37:42.244587+00
gate.publications_once	2026-11-29 04:37:42.244587+00
ops.run_columns	2026-11-29 04:37:42.24459+00
prep.int_favorite_genres_told	2026-11-29 04:37:42.244595+00
prep.parked_listens	2026-11-29 04:37:42.244597+00
ops.run_growth	2026-11-29 04:37:42.244597+00
gate.erasures	2026-11-29 04:37:42.2446+00
gate.quarantined_rows	2026-11-29 04:37:42.2446+00
prep.stg_moovitamix__listen_history	2026-11-29 04:37:42.244601+00
ops.steps	2026-11-29 04:37:42.244602+00
staging.users_load	2026-11-29 04:37:42.244604+00
gate.sign_decision()	2026-11-29 04:37:42.244605+00
staging.listen_history_versions	2026-11-29 04:37:42.244606+00
prep.user_genre_totals	2026-11-29 04:37:42.244607+00
gate.loads	2026-11-29 04:37:42.244607+00
prep.int_document_versions	2026-11-29 04:37:42.244608+00
prep.int_unparked_listens	2026-11-29 04:37:42.24461+00
prep.builds	2026-11-29 04:37:42.244611+00
ops.current_steps	2026-11-29 04:37:42.244615+00
prep.int_vanished_listens	2026-11-29 04:37:42.244618+00
prep.int_present_listens	2026-11-29 04:37:42.244619+00
prep.int_build	2026-11-29 04:37:42.244622+00
staging._dlt_pipeline_state	2026-11-29 04:37:42.244623+00
marts.listen_history	2026-11-29 04:37:42.244626+00
ops.run_tables	2026-11-29 04:37:42.244627+00
ops.runs	2026-11-29 04:37:42.244628+00
staging.tracks	2026-11-29 04:37:42.244629+00
prep.int_touched_tracks	2026-11-29 04:37:42.244629+00
prep.int_published_listen_history	2026-11-29 04:37:42.244631+00
prep.stg_moovitamix__users	2026-11-29 04:37:42.244633+00
prep.int_touched_users	2026-11-29 04:37:42.244634+00
prep.int_track_genres_told	2026-11-29 04:37:42.244635+00
ops.run_loads	2026-11-29 04:37:42.244636+00
features.user_profile	2026-11-29 04:37:42.244637+00
staging.listen_history_load	2026-11-29 04:37:42.244638+00
prep.user_totals	2026-11-29 04:37:42.24464+00
marts.users	2026-11-29 04:37:42.244641+00
features.user_genre_affinity	2026-11-29 04:37:42.244641+00
gate.decisions	2026-11-29 04:37:42.244645+00
gate.quarantined_rows_key	2026-11-29 04:37:42.244647+00
staging.users_versions	2026-11-29 04:37:42.244648+00
prep.respelled_documents	2026-11-29 04:37:42.24465+00
gate.told_fields	2026-11-29 04:37:42.244651+00
prep.int_published_tracks	2026-11-29 04:37:42.244654+00
marts.track_genres	2026-11-29 04:37:42.244656+00
staging.tracks_versions	2026-11-29 04:37:42.244657+00
prep.stg_moovitamix__tracks	2026-11-29 04:37:42.244657+00
gate.refuse_to_change_decisions()	2026-11-29 04:37:42.244658+00
prep.normalized_text(text)	2026-11-29 04:37:42.244659+00
staging.tracks_load	2026-11-29 04:37:42.24466+00
prep.int_late_listens	2026-11-29 04:37:42.244661+00
gate.publications_load	2026-11-29 04:37:42.244662+00
staging.unreadable_rows	2026-11-29 04:37:42.244664+00
gate.publications	2026-11-29 04:37:42.244665+00
ops.run_rules	2026-11-29 04:37:42.244669+00
ops.run_relations	2026-11-29 04:37:42.244672+00
ops.run_nodes	2026-11-29 04:37:42.244674+00
staging.listen_history	2026-11-29 04:37:42.244849+00
marts.tracks	2026-11-29 04:37:42.24485+00
\.

COPY ops.run_columns (run_id, table_name, column_name, rows, nulls, absent) FROM stdin;
2c0132e5f903	tracks	id	10	0	0
2c0132e5f903	tracks	name	10	0	0
2c0132e5f903	tracks	artist	10	0	0
2c0132e5f903	tracks	songwriters	10	0	0
2c0132e5f903	tracks	duration	10	0	0
2c0132e5f903	tracks	genres	10	0	0
2c0132e5f903	tracks	album	10	0	0
2c0132e5f903	tracks	created_at	10	0	0
2c0132e5f903	tracks	updated_at	10	0	0
2c0132e5f903	users	id	10	0	0
2c0132e5f903	users	first_name	10	0	0
2c0132e5f903	users	last_name	10	0	0
2c0132e5f903	users	email	10	0	0
2c0132e5f903	users	gender	10	0	0
2c0132e5f903	users	favorite_genres	10	0	0
2c0132e5f903	users	created_at	10	0	0
2c0132e5f903	users	updated_at	10	0	0
2c0132e5f903	listen_history	user_id	10	0	0
2c0132e5f903	listen_history	items	10	0	0
2c0132e5f903	listen_history	created_at	10	0	0
2c0132e5f903	listen_history	updated_at	10	0	0
87a733288a94	users	id	11	0	1
87a733288a94	users	first_name	11	0	0
87a733288a94	users	last_name	11	0	0
87a733288a94	users	email	11	0	0
87a733288a94	users	gender	11	0	0
87a733288a94	users	favorite_genres	11	0	0
87a733288a94	users	created_at	11	0	0
87a733288a94	users	updated_at	11	1	0
87a733288a94	tracks	id	11	0	0
87a733288a94	tracks	name	11	0	0
87a733288a94	tracks	artist	11	0	0
87a733288a94	tracks	songwriters	11	0	0
87a733288a94	tracks	duration	11	0	0
87a733288a94	tracks	genres	11	0	0
87a733288a94	tracks	album	11	0	0
87a733288a94	tracks	created_at	11	0	0
87a733288a94	tracks	updated_at	11	0	0
87a733288a94	listen_history	user_id	11	0	0
87a733288a94	listen_history	items	11	0	0
87a733288a94	listen_history	created_at	11	0	0
87a733288a94	listen_history	updated_at	11	0	0
b1ef9dc0ab17	users	id	12	0	0
b1ef9dc0ab17	users	first_name	12	0	0
b1ef9dc0ab17	users	last_name	12	0	0
b1ef9dc0ab17	users	email	12	0	0
b1ef9dc0ab17	users	gender	12	0	0
b1ef9dc0ab17	users	favorite_genres	12	0	0
b1ef9dc0ab17	users	created_at	12	0	0
b1ef9dc0ab17	users	updated_at	12	0	0
b1ef9dc0ab17	tracks	id	12	0	0
b1ef9dc0ab17	tracks	name	12	0	0
b1ef9dc0ab17	tracks	artist	12	0	0
b1ef9dc0ab17	tracks	songwriters	12	0	0
b1ef9dc0ab17	tracks	duration	12	0	0
b1ef9dc0ab17	tracks	genres	12	0	0
b1ef9dc0ab17	tracks	album	12	0	0
b1ef9dc0ab17	tracks	created_at	12	0	0
b1ef9dc0ab17	tracks	updated_at	12	0	0
b1ef9dc0ab17	listen_history	user_id	12	0	0
b1ef9dc0ab17	listen_history	items	12	0	0
b1ef9dc0ab17	listen_history	created_at	12	0	0
b1ef9dc0ab17	listen_history	updated_at	12	0	0
\.

COPY ops.run_loads (run_id, load_id, table_name, state, rows_quarantined) FROM stdin;
2c0132e5f903	1795927062.3677828	users	accepted	0
2c0132e5f903	1795927062.3677828	tracks	accepted	0
2c0132e5f903	1795927062.3677828	listen_history	accepted	0
87a733288a94	1795927068.6063192	users	accepted_with_quarantine	2
87a733288a94	1795927068.6063192	tracks	accepted	0
87a733288a94	1795927068.6063192	listen_history	accepted	0
b1ef9dc0ab17	1795927070.9978828	users	accepted	0
b1ef9dc0ab17	1795927070.9978828	tracks	accepted	0
b1ef9dc0ab17	1795927070.9978828	listen_history	accepted	0
\.

COPY ops.run_nodes (run_id, node, step, resource_type, status, seconds, rows_affected, failures) FROM stdin;
2c0132e5f903	stg_moovitamix__tracks	gate	model	success	0.09877586364746094	\N	\N
2c0132e5f903	stg_moovitamix__listen_history	gate	model	success	0.11006689071655273	\N	\N
2c0132e5f903	stg_moovitamix__users	gate	model	success	0.036621809005737305	\N	\N
2c0132e5f903	int_published_listen_history	build	model	success	0.07080197334289551	\N	\N
2c0132e5f903	int_build	build	model	success	0.08636045455932617	1	\N
2c0132e5f903	int_published_tracks	build	model	success	0.04769539833068848	\N	\N
2c0132e5f903	int_published_users	build	model	success	0.04359769821166992	\N	\N
2c0132e5f903	int_touched_users	build	model	success	0.03930020332336426	10	\N
2c0132e5f903	int_touched_tracks	build	model	success	0.04802083969116211	10	\N
2c0132e5f903	int_favorite_genres_told	build	model	success	0.03840184211730957	\N	\N
2c0132e5f903	int_track_genres_told	build	model	success	0.045038461685180664	\N	\N
2c0132e5f903	int_document_versions	build	model	success	0.09427762031555176	10	\N
2c0132e5f903	users	build	model	success	0.136582612991333	10	\N
2c0132e5f903	tracks	build	model	success	0.06851553916931152	10	\N
2c0132e5f903	int_present_listens	build	model	success	0.03838777542114258	0	\N
2c0132e5f903	int_listens	build	model	success	0.049974679946899414	56	\N
2c0132e5f903	respelled_documents	build	model	success	0.07095122337341309	0	\N
2c0132e5f903	int_late_listens	build	model	success	0.034245967864990234	0	\N
2c0132e5f903	track_genres	build	model	success	0.06343984603881836	\N	\N
2c0132e5f903	int_unparked_listens	build	model	success	0.03864097595214844	0	\N
2c0132e5f903	int_vanished_listens	build	model	success	0.031055688858032227	0	\N
2c0132e5f903	int_recounted_users	build	model	success	0.04471993446350098	10	\N
2c0132e5f903	listen_history	build	model	success	0.06483864784240723	\N	\N
2c0132e5f903	user_genre_totals	build	model	success	0.07013726234436035	35	\N
2c0132e5f903	user_totals	build	model	success	0.08321690559387207	5	\N
2c0132e5f903	user_genre_affinity	build	model	success	0.05709719657897949	\N	\N
2c0132e5f903	parked_listens	build	model	success	0.07961893081665039	0	\N
2c0132e5f903	user_profile	build	model	success	0.07235264778137207	\N	\N
2c0132e5f903	assert_every_published_listen_is_stored_once	build	test	pass	0.042623043060302734	\N	0
87a733288a94	stg_moovitamix__tracks	gate	model	success	0.05031180381774902	\N	\N
87a733288a94	stg_moovitamix__listen_history	gate	model	success	0.056025028228759766	\N	\N
87a733288a94	stg_moovitamix__users	gate	model	success	0.35019707679748535	\N	\N
87a733288a94	int_build	build	model	success	0.04933762550354004	1	\N
87a733288a94	int_published_listen_history	build	model	success	0.05726122856140137	\N	\N
87a733288a94	int_published_tracks	build	model	success	0.04479050636291504	\N	\N
87a733288a94	int_published_users	build	model	success	0.0538330078125	\N	\N
87a733288a94	int_touched_tracks	build	model	success	0.040723562240600586	2	\N
87a733288a94	int_touched_users	build	model	success	0.04956483840942383	3	\N
87a733288a94	int_track_genres_told	build	model	success	0.05859541893005371	\N	\N
87a733288a94	int_favorite_genres_told	build	model	success	0.05198192596435547	\N	\N
87a733288a94	int_document_versions	build	model	success	0.07718825340270996	7	\N
87a733288a94	tracks	build	model	success	0.11243057250976562	2	\N
87a733288a94	int_present_listens	build	model	success	0.04414653778076172	20	\N
87a733288a94	users	build	model	success	0.07251858711242676	2	\N
87a733288a94	respelled_documents	build	model	success	0.07848668098449707	0	\N
87a733288a94	track_genres	build	model	success	0.08467817306518555	1	\N
87a733288a94	int_listens	build	model	success	0.0369563102722168	25	\N
87a733288a94	int_late_listens	build	model	success	0.047193288803100586	5	\N
87a733288a94	int_unparked_listens	build	model	success	0.0442957878112793	0	\N
87a733288a94	int_vanished_listens	build	model	success	0.03115224838256836	0	\N
87a733288a94	int_recounted_users	build	model	success	0.05838274955749512	0	\N
87a733288a94	listen_history	build	model	success	0.07418942451477051	5	\N
87a733288a94	user_genre_totals	build	model	success	0.10045909881591797	9	\N
87a733288a94	user_totals	build	model	success	0.09507107734680176	3	\N
87a733288a94	user_genre_affinity	build	model	success	0.0548710823059082	\N	\N
87a733288a94	parked_listens	build	model	success	0.07264232635498047	0	\N
87a733288a94	assert_every_published_listen_is_stored_once	build	test	pass	0.02582240104675293	\N	0
87a733288a94	user_profile	build	model	success	0.05690765380859375	\N	\N
b1ef9dc0ab17	stg_moovitamix__listen_history	gate	model	success	0.052043914794921875	\N	\N
b1ef9dc0ab17	stg_moovitamix__tracks	gate	model	success	0.0781090259552002	\N	\N
b1ef9dc0ab17	stg_moovitamix__users	gate	model	success	0.04621624946594238	\N	\N
b1ef9dc0ab17	int_build	build	model	success	0.04139351844787598	1	\N
b1ef9dc0ab17	int_published_listen_history	build	model	success	0.049957275390625	\N	\N
b1ef9dc0ab17	int_published_users	build	model	success	0.045874595642089844	\N	\N
b1ef9dc0ab17	int_published_tracks	build	model	success	0.05776500701904297	\N	\N
b1ef9dc0ab17	int_touched_users	build	model	success	0.04140591621398926	3	\N
b1ef9dc0ab17	int_touched_tracks	build	model	success	0.04756879806518555	2	\N
b1ef9dc0ab17	int_track_genres_told	build	model	success	0.043589115142822266	\N	\N
b1ef9dc0ab17	int_favorite_genres_told	build	model	success	0.04767274856567383	\N	\N
b1ef9dc0ab17	int_document_versions	build	model	success	0.06448626518249512	6	\N
b1ef9dc0ab17	users	build	model	success	0.07814288139343262	3	\N
b1ef9dc0ab17	int_present_listens	build	model	success	0.04642128944396973	15	\N
b1ef9dc0ab17	tracks	build	model	success	0.08276772499084473	2	\N
b1ef9dc0ab17	respelled_documents	build	model	success	0.06581830978393555	0	\N
b1ef9dc0ab17	int_listens	build	model	success	0.042389631271362305	24	\N
b1ef9dc0ab17	int_late_listens	build	model	success	0.04311251640319824	9	\N
b1ef9dc0ab17	track_genres	build	model	success	0.08167338371276855	4	\N
b1ef9dc0ab17	int_unparked_listens	build	model	success	0.04191088676452637	0	\N
b1ef9dc0ab17	int_vanished_listens	build	model	success	0.03033304214477539	0	\N
b1ef9dc0ab17	int_recounted_users	build	model	success	0.051169395446777344	3	\N
b1ef9dc0ab17	listen_history	build	model	success	0.060860633850097656	9	\N
b1ef9dc0ab17	user_totals	build	model	success	0.06637310981750488	2	\N
b1ef9dc0ab17	user_genre_totals	build	model	success	0.07381343841552734	18	\N
b1ef9dc0ab17	user_genre_affinity	build	model	success	0.05493807792663574	\N	\N
b1ef9dc0ab17	parked_listens	build	model	success	0.07470130920410156	0	\N
b1ef9dc0ab17	assert_every_published_listen_is_stored_once	build	test	pass	0.01580977439880371	\N	0
b1ef9dc0ab17	user_profile	build	model	success	0.04413199424743652	\N	\N
\.

COPY ops.run_relations (run_id, relation, rows, bytes) FROM stdin;
2c0132e5f903	gate.decisions	0	16384
2c0132e5f903	gate.erasures	0	16384
2c0132e5f903	gate.loads	3	32768
2c0132e5f903	gate.publications	3	65536
2c0132e5f903	gate.quarantined_rows	0	24576
2c0132e5f903	gate.told_fields	0	16384
2c0132e5f903	marts.listen_history	56	98304
2c0132e5f903	marts.track_genres	16	32768
2c0132e5f903	marts.tracks	10	32768
2c0132e5f903	marts.users	10	32768
2c0132e5f903	ops.owned_relations	125	65536
2c0132e5f903	ops.run_columns	21	32768
2c0132e5f903	ops.run_loads	3	32768
2c0132e5f903	ops.run_nodes	29	32768
2c0132e5f903	ops.run_relations	0	16384
2c0132e5f903	ops.run_tables	3	32768
2c0132e5f903	ops.runs	1	49152
2c0132e5f903	ops.steps	3	32768
2c0132e5f903	prep.builds	8	32768
2c0132e5f903	prep.parked_listens	0	32768
2c0132e5f903	prep.respelled_documents	0	24576
2c0132e5f903	prep.user_genre_totals	35	32768
2c0132e5f903	prep.user_totals	5	32768
2c0132e5f903	staging.listen_history	10	65536
2c0132e5f903	staging.scans	3	32768
2c0132e5f903	staging.tracks	10	65536
2c0132e5f903	staging.unreadable_rows	0	16384
2c0132e5f903	staging.users	10	65536
87a733288a94	gate.decisions	0	16384
87a733288a94	gate.erasures	0	16384
87a733288a94	gate.loads	6	32768
87a733288a94	gate.publications	6	65536
87a733288a94	gate.quarantined_rows	2	49152
87a733288a94	gate.told_fields	0	16384
87a733288a94	marts.listen_history	61	147456
87a733288a94	marts.track_genres	17	32768
87a733288a94	marts.tracks	11	32768
87a733288a94	marts.users	11	32768
87a733288a94	ops.owned_relations	125	65536
87a733288a94	ops.run_columns	42	32768
87a733288a94	ops.run_loads	6	32768
87a733288a94	ops.run_nodes	58	32768
87a733288a94	ops.run_relations	28	32768
87a733288a94	ops.run_tables	6	32768
87a733288a94	ops.runs	2	49152
87a733288a94	ops.steps	6	32768
87a733288a94	prep.builds	8	32768
87a733288a94	prep.parked_listens	0	32768
87a733288a94	prep.respelled_documents	0	24576
87a733288a94	prep.user_genre_totals	39	32768
87a733288a94	prep.user_totals	6	32768
87a733288a94	staging.listen_history	14	65536
87a733288a94	staging.scans	6	32768
87a733288a94	staging.tracks	12	65536
87a733288a94	staging.unreadable_rows	0	16384
87a733288a94	staging.users	14	65536
b1ef9dc0ab17	gate.decisions	0	16384
b1ef9dc0ab17	gate.erasures	0	16384
b1ef9dc0ab17	gate.loads	9	32768
b1ef9dc0ab17	gate.publications	9	65536
b1ef9dc0ab17	gate.quarantined_rows	2	49152
b1ef9dc0ab17	gate.told_fields	0	16384
b1ef9dc0ab17	marts.listen_history	70	147456
b1ef9dc0ab17	marts.track_genres	20	32768
b1ef9dc0ab17	marts.tracks	12	32768
b1ef9dc0ab17	marts.users	12	32768
b1ef9dc0ab17	ops.owned_relations	125	65536
b1ef9dc0ab17	ops.run_columns	63	32768
b1ef9dc0ab17	ops.run_loads	9	32768
b1ef9dc0ab17	ops.run_nodes	87	65536
b1ef9dc0ab17	ops.run_relations	56	32768
b1ef9dc0ab17	ops.run_tables	9	32768
b1ef9dc0ab17	ops.runs	3	49152
b1ef9dc0ab17	ops.steps	9	32768
b1ef9dc0ab17	prep.builds	8	32768
b1ef9dc0ab17	prep.parked_listens	0	32768
b1ef9dc0ab17	prep.respelled_documents	0	24576
b1ef9dc0ab17	prep.user_genre_totals	44	32768
b1ef9dc0ab17	prep.user_totals	7	32768
b1ef9dc0ab17	staging.listen_history	17	65536
b1ef9dc0ab17	staging.scans	9	32768
b1ef9dc0ab17	staging.tracks	14	65536
b1ef9dc0ab17	staging.unreadable_rows	0	16384
b1ef9dc0ab17	staging.users	18	65536
\.

COPY ops.run_tables (run_id, table_name, load_id, requests, requests_failed, bytes_received, rows_read, rows_unchanged, rows_landed, rows_removed, rows_unreadable, keys_unsettled, bytes_landed, keys_changed) FROM stdin;
2c0132e5f903	users	1795927062.3677828	1	0	2429	10	0	10	0	0	0	2367	0
2c0132e5f903	tracks	1795927062.3677828	1	0	2379	10	0	10	0	0	0	2317	0
2c0132e5f903	listen_history	1795927062.3677828	1	0	1495	10	0	10	0	0	0	1433	0
87a733288a94	users	1795927068.6063192	1	0	2632	11	7	4	0	0	1	943	2
87a733288a94	tracks	1795927068.6063192	1	0	2595	11	9	2	0	0	0	436	1
87a733288a94	listen_history	1795927068.6063192	1	0	1630	11	7	4	0	0	0	581	3
b1ef9dc0ab17	users	1795927070.9978828	2	0	5832	12	9	3	1	0	0	721	2
b1ef9dc0ab17	tracks	1795927070.9978828	1	0	2842	12	10	2	0	0	0	484	1
b1ef9dc0ab17	listen_history	1795927070.9978828	1	0	1789	12	9	3	0	0	0	461	2
\.

COPY ops.runs (run_id, run_seq, started_at, finished_at, status, exit_code, message, command, sample_day, error_type, rows, bytes, cpu_seconds, database_cpu_seconds, peak_memory_bytes, disk_read_bytes, disk_written_bytes, network_received_bytes, network_sent_bytes, disk_free_bytes, disk_size_bytes) FROM stdin;
2c0132e5f903	1	2026-11-29 04:37:42.277032+00	2026-11-29 04:37:48.359637+00	succeeded	0	all published	extract gate build	\N	\N	30	6303	5.930000000000001	\N	436588544	0	913408	593643	593643	81425022976	270553174016
87a733288a94	2	2026-11-29 04:37:48.529074+00	2026-11-29 04:37:50.736085+00	succeeded	0	all published	extract gate build	\N	\N	33	6857	1.9899999999999984	\N	444284928	188416	647168	623628	623628	81424482304	270553174016
b1ef9dc0ab17	3	2026-11-29 04:37:50.920478+00	2026-11-29 04:37:53.096372+00	succeeded	0	all published	extract gate build	\N	\N	36	10463	1.9699999999999989	\N	449626112	4096	651264	631118	631118	81424056320	270553174016
\.

COPY ops.steps (run_id, step, started_at, finished_at, status, message, figures, error_type, rows, bytes, cpu_seconds, database_cpu_seconds, peak_memory_bytes, disk_read_bytes, disk_written_bytes, network_received_bytes, network_sent_bytes, disk_free_bytes, disk_size_bytes) FROM stdin;
2c0132e5f903	extract	2026-11-29 04:37:42.282101+00	2026-11-29 04:37:42.654938+00	succeeded	\N	{}	\N	30	6303	0.29000000000000004	\N	190648320	0	471040	88462	88462	81426214912	270553174016
2c0132e5f903	gate	2026-11-29 04:37:42.656552+00	2026-11-29 04:37:47.346796+00	succeeded	\N	{}	\N	30	\N	4.67	\N	427986944	0	122880	217050	217050	81425932288	270553174016
2c0132e5f903	build	2026-11-29 04:37:47.348209+00	2026-11-29 04:37:48.35285+00	succeeded	\N	{"published_seq": 3}	\N	157	\N	0.9500000000000002	\N	436588544	0	319488	283910	283910	81425022976	270553174016
87a733288a94	extract	2026-11-29 04:37:48.530598+00	2026-11-29 04:37:48.72774+00	succeeded	\N	{}	\N	33	6857	0.15999999999999925	\N	437288960	0	270336	79788	79788	81425006592	270553174016
87a733288a94	gate	2026-11-29 04:37:48.72898+00	2026-11-29 04:37:49.707771+00	succeeded	\N	{}	\N	10	\N	0.8700000000000001	\N	443408384	8192	69632	228134	228134	81424834560	270553174016
87a733288a94	build	2026-11-29 04:37:49.709097+00	2026-11-29 04:37:50.729567+00	succeeded	\N	{"published_seq": 6}	\N	85	\N	0.9599999999999991	\N	444284928	180224	307200	311483	311483	81424482304	270553174016
b1ef9dc0ab17	extract	2026-11-29 04:37:50.922699+00	2026-11-29 04:37:51.122938+00	succeeded	\N	{}	\N	36	10463	0.14999999999999858	\N	443637760	0	270336	86428	86428	81424482304	270553174016
b1ef9dc0ab17	gate	2026-11-29 04:37:51.124265+00	2026-11-29 04:37:51.816992+00	succeeded	\N	{}	\N	9	\N	0.6000000000000014	\N	449028096	4096	73728	226075	226075	81424334848	270553174016
b1ef9dc0ab17	build	2026-11-29 04:37:51.818166+00	2026-11-29 04:37:53.090094+00	succeeded	\N	{"published_seq": 9}	\N	101	\N	1.2199999999999989	\N	449626112	0	307200	314394	314394	81424056320	270553174016
\.

COPY prep.builds (model, seq, fingerprint, totals_until) FROM stdin;
marts.users	9	ede3d7d48037d2276d954ed11c648854	2026-08-31 00:00:00+00
marts.tracks	9	ede3d7d48037d2276d954ed11c648854	2026-08-31 00:00:00+00
prep.respelled_documents	9	ede3d7d48037d2276d954ed11c648854	2026-08-31 00:00:00+00
marts.track_genres	9	ede3d7d48037d2276d954ed11c648854	2026-08-31 00:00:00+00
marts.listen_history	9	ede3d7d48037d2276d954ed11c648854	2026-08-31 00:00:00+00
prep.user_genre_totals	9	ede3d7d48037d2276d954ed11c648854	2026-08-31 00:00:00+00
prep.user_totals	9	ede3d7d48037d2276d954ed11c648854	2026-08-31 00:00:00+00
prep.parked_listens	9	ede3d7d48037d2276d954ed11c648854	2026-08-31 00:00:00+00
\.

COPY prep.int_build (after_seq, until_seq, fingerprint, totals_until, listens_seq, are_totals_behind) FROM stdin;
6	9	ede3d7d48037d2276d954ed11c648854	2026-08-31 00:00:00+00	6	f
\.

COPY prep.int_document_versions (key, user_id, created_at, updated_at, items, is_removal, version_seq, _load_id, is_published) FROM stdin;
[74724,"2025-12-28T00:58:19.423144"]	74724	2025-12-28 00:58:19.423144+00	2025-12-28 17:18:17.414581+00	[97604, 36462, 3606, 36462, 30192, 7435]	f	4	1795927062.3677828	t
[74724,"2025-12-28T00:58:19.423144"]	74724	2025-12-28 00:58:19.423144+00	2026-01-02 06:48:54.309994+00	[97604, 36462, 3606, 36462, 30192, 7435, 24319, 7435]	f	15	1795927070.9978828	t
[70377,"2026-01-02T12:10:33.554361"]	70377	2026-01-02 12:10:33.554361+00	2026-01-02 22:44:21.629722+00	[97604, 39383, 39104, 39104, 36462, 24331]	f	17	1795927070.9978828	t
[74724,"2025-11-11T12:57:52.979867"]	74724	2025-11-11 12:57:52.979867+00	2025-11-15 22:00:12.047804+00	[36462, 97604, 36462, 74576, 74576, 74576, 74576, 7435]	f	8	1795927062.3677828	t
[74724,"2025-11-11T12:57:52.979867"]	74724	2025-11-11 12:57:52.979867+00	2026-01-01 02:21:49.284431+00	[36462, 74576, 74576, 74576, 74576, 7435, 97604, 74576]	f	12	1795927068.6063192	t
[74724,"2025-11-11T12:57:52.979867"]	74724	2025-11-11 12:57:52.979867+00	2026-01-02 05:36:05.486559+00	[74576, 74576, 74576, 74576, 7435, 97604, 74576, 24319]	f	16	1795927070.9978828	t
\.

COPY prep.int_late_listens (user_id, track_id, listened_at) FROM stdin;
70377	39383	2026-01-02 22:44:21.629722+00
74724	7435	2026-01-02 06:48:54.309994+00
70377	97604	2026-01-02 22:44:21.629722+00
70377	36462	2026-01-02 22:44:21.629722+00
70377	39104	2026-01-02 22:44:21.629722+00
70377	24331	2026-01-02 22:44:21.629722+00
74724	24319	2026-01-02 05:36:05.486559+00
74724	24319	2026-01-02 06:48:54.309994+00
70377	39104	2026-01-02 22:44:21.629722+00
\.

COPY prep.int_listens (id, user_id, track_id, listened_at, created_at, _load_id, is_user_unknown, is_track_unknown) FROM stdin;
-67260443219317428	74724	3606	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828	f	f
5064857412408971880	74724	7435	2026-01-02 06:48:54.309994+00	2025-12-28 00:58:19.423144+00	1795927070.9978828	f	f
7039707537474110407	74724	7435	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828	f	f
-163975126787802357	74724	7435	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828	f	f
6077398265332127614	74724	24319	2026-01-02 06:48:54.309994+00	2025-12-28 00:58:19.423144+00	1795927070.9978828	f	f
-7926658233525061911	74724	24319	2026-01-02 05:36:05.486559+00	2025-11-11 12:57:52.979867+00	1795927070.9978828	f	f
1486574758585094836	70377	24331	2026-01-02 22:44:21.629722+00	2026-01-02 12:10:33.554361+00	1795927070.9978828	f	f
262135131585085899	74724	30192	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828	f	f
-2884163692446477228	74724	36462	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828	f	f
2772884660236091667	74724	36462	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828	f	f
-2971087305938918173	74724	36462	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828	f	f
922529037329191733	74724	36462	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828	f	f
-7772542744504387699	70377	36462	2026-01-02 22:44:21.629722+00	2026-01-02 12:10:33.554361+00	1795927070.9978828	f	f
-5039566534807417196	74724	74576	2026-01-01 02:21:49.284431+00	2025-11-11 12:57:52.979867+00	1795927068.6063192	f	f
518508874042845118	74724	74576	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828	f	f
5560113975572931990	74724	74576	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828	f	f
6897624334627922093	74724	74576	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828	f	f
8326014928770343718	74724	74576	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828	f	f
3474725683065793153	74724	97604	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828	f	f
-3644266733334908892	74724	97604	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828	f	f
-7611015284447140962	70377	97604	2026-01-02 22:44:21.629722+00	2026-01-02 12:10:33.554361+00	1795927070.9978828	f	f
6900596010688835310	70377	39104	2026-01-02 22:44:21.629722+00	2026-01-02 12:10:33.554361+00	1795927070.9978828	f	f
3784659589211620389	70377	39104	2026-01-02 22:44:21.629722+00	2026-01-02 12:10:33.554361+00	1795927070.9978828	f	f
3381060176911612794	70377	39383	2026-01-02 22:44:21.629722+00	2026-01-02 12:10:33.554361+00	1795927070.9978828	f	f
\.

COPY prep.int_present_listens (id, user_id, track_id, listened_at, created_at, _load_id) FROM stdin;
-3644266733334908892	74724	97604	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
-2971087305938918173	74724	36462	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
-163975126787802357	74724	7435	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
518508874042845118	74724	74576	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
922529037329191733	74724	36462	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
5560113975572931990	74724	74576	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
6897624334627922093	74724	74576	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
8326014928770343718	74724	74576	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
-5039566534807417196	74724	74576	2026-01-01 02:21:49.284431+00	2025-11-11 12:57:52.979867+00	1795927068.6063192
-2884163692446477228	74724	36462	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828
-67260443219317428	74724	3606	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828
262135131585085899	74724	30192	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828
2772884660236091667	74724	36462	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828
3474725683065793153	74724	97604	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828
7039707537474110407	74724	7435	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828
\.

COPY prep.int_recounted_users (user_id) FROM stdin;
42718
74724
29669
\.

COPY prep.int_touched_tracks (id) FROM stdin;
39383
39104
\.

COPY prep.int_touched_users (id) FROM stdin;
80237
28198
1326
\.

COPY prep.int_unparked_listens (id) FROM stdin;
\.

COPY prep.int_vanished_listens (user_id, listened_at, id) FROM stdin;
\.

COPY prep.listen_history_2025_11 (id, user_id, track_id, listened_at, created_at, _load_id) FROM stdin;
-7345292735072807076	42718	39104	2025-11-16 04:25:46.137282+00	2025-11-14 17:58:22.778051+00	1795927062.3677828
-4810335214380682452	42718	36462	2025-11-16 04:25:46.137282+00	2025-11-14 17:58:22.778051+00	1795927062.3677828
4637338228429311839	42718	97604	2025-11-16 04:25:46.137282+00	2025-11-14 17:58:22.778051+00	1795927062.3677828
6930121895546054308	42718	74576	2025-11-16 04:25:46.137282+00	2025-11-14 17:58:22.778051+00	1795927062.3677828
-3644266733334908892	74724	97604	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
-2971087305938918173	74724	36462	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
-163975126787802357	74724	7435	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
518508874042845118	74724	74576	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
922529037329191733	74724	36462	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
5560113975572931990	74724	74576	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
6897624334627922093	74724	74576	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
8326014928770343718	74724	74576	2025-11-15 22:00:12.047804+00	2025-11-11 12:57:52.979867+00	1795927062.3677828
\.

COPY prep.listen_history_2025_12 (id, user_id, track_id, listened_at, created_at, _load_id) FROM stdin;
-8019660185977823000	29669	36462	2025-12-21 00:03:56.96797+00	2025-12-18 04:54:50.877676+00	1795927062.3677828
-5447734243002382759	29669	39104	2025-12-21 00:03:56.96797+00	2025-12-18 04:54:50.877676+00	1795927062.3677828
-4442469683708337140	29669	24331	2025-12-21 00:03:56.96797+00	2025-12-18 04:54:50.877676+00	1795927062.3677828
-1390769247483548265	29669	24319	2025-12-21 00:03:56.96797+00	2025-12-18 04:54:50.877676+00	1795927062.3677828
550169236587827230	29669	74576	2025-12-21 00:03:56.96797+00	2025-12-18 04:54:50.877676+00	1795927062.3677828
914823889327061810	29669	7435	2025-12-21 00:03:56.96797+00	2025-12-18 04:54:50.877676+00	1795927062.3677828
4028262109591150561	29669	74576	2025-12-21 00:03:56.96797+00	2025-12-18 04:54:50.877676+00	1795927062.3677828
-5298640320016537366	29669	97604	2025-12-27 18:19:15.854726+00	2025-11-05 02:38:30.785783+00	1795927062.3677828
-1551000336133410100	29669	25011	2025-12-27 18:19:15.854726+00	2025-11-05 02:38:30.785783+00	1795927062.3677828
-1460807456234245489	29669	25011	2025-12-27 18:19:15.854726+00	2025-11-05 02:38:30.785783+00	1795927062.3677828
1404924160341379835	29669	3606	2025-12-27 18:19:15.854726+00	2025-11-05 02:38:30.785783+00	1795927062.3677828
7384251163370118062	29669	24331	2025-12-27 18:19:15.854726+00	2025-11-05 02:38:30.785783+00	1795927062.3677828
-8419303758430440658	29669	30192	2025-12-30 04:26:41.454448+00	2025-12-29 15:44:52.416793+00	1795927062.3677828
6782683150507300276	29669	24331	2025-12-30 04:26:41.454448+00	2025-12-29 15:44:52.416793+00	1795927062.3677828
6948939364127609744	29669	3606	2025-12-30 04:26:41.454448+00	2025-12-29 15:44:52.416793+00	1795927062.3677828
-3765808806219888259	74724	7435	2025-12-19 07:08:38.008975+00	2025-12-07 20:40:56.433457+00	1795927062.3677828
7527010988837331429	74724	39104	2025-12-19 07:08:38.008975+00	2025-12-07 20:40:56.433457+00	1795927062.3677828
-2884163692446477228	74724	36462	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828
-67260443219317428	74724	3606	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828
262135131585085899	74724	30192	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828
2772884660236091667	74724	36462	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828
3474725683065793153	74724	97604	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828
7039707537474110407	74724	7435	2025-12-28 17:18:17.414581+00	2025-12-28 00:58:19.423144+00	1795927062.3677828
-7721192607110298504	78990	7435	2025-12-01 10:02:43.983223+00	2025-11-07 10:43:42.215367+00	1795927062.3677828
-6745018764655301049	78990	24331	2025-12-01 10:02:43.983223+00	2025-11-07 10:43:42.215367+00	1795927062.3677828
-5217991359551132306	78990	24331	2025-12-01 10:02:43.983223+00	2025-11-07 10:43:42.215367+00	1795927062.3677828
-5137798359546875283	78990	7435	2025-12-01 10:02:43.983223+00	2025-11-07 10:43:42.215367+00	1795927062.3677828
-3556643869527529647	78990	7435	2025-12-01 10:02:43.983223+00	2025-11-07 10:43:42.215367+00	1795927062.3677828
1438156414986940692	78990	7435	2025-12-01 10:02:43.983223+00	2025-11-07 10:43:42.215367+00	1795927062.3677828
2622956944915437930	78990	7435	2025-12-01 10:02:43.983223+00	2025-11-07 10:43:42.215367+00	1795927062.3677828
6155965632874567204	78990	24331	2025-12-01 10:02:43.983223+00	2025-11-07 10:43:42.215367+00	1795927062.3677828
-4489712244616172430	80237	30192	2025-12-18 12:28:49.290122+00	2025-12-18 02:53:25.210083+00	1795927062.3677828
-4447515819216263323	80237	97604	2025-12-18 12:28:49.290122+00	2025-12-18 02:53:25.210083+00	1795927062.3677828
1350345114045936432	80237	30192	2025-12-18 12:28:49.290122+00	2025-12-18 02:53:25.210083+00	1795927062.3677828
1477277027637150076	80237	30192	2025-12-18 12:28:49.290122+00	2025-12-18 02:53:25.210083+00	1795927062.3677828
-8881306257228819360	80237	30192	2025-12-31 07:07:09.96018+00	2025-11-28 22:14:55.094944+00	1795927062.3677828
-5739280652596430490	80237	74576	2025-12-31 07:07:09.96018+00	2025-11-28 22:14:55.094944+00	1795927062.3677828
-5206719577414597552	80237	24331	2025-12-31 07:07:09.96018+00	2025-11-28 22:14:55.094944+00	1795927062.3677828
177116017564467782	80237	30192	2025-12-31 07:07:09.96018+00	2025-11-28 22:14:55.094944+00	1795927062.3677828
1218815389182019408	80237	97604	2025-12-31 07:07:09.96018+00	2025-11-28 22:14:55.094944+00	1795927062.3677828
1371320727323964097	80237	25011	2025-12-31 07:07:09.96018+00	2025-11-28 22:14:55.094944+00	1795927062.3677828
4013018481472640877	80237	30192	2025-12-31 07:07:09.96018+00	2025-11-28 22:14:55.094944+00	1795927062.3677828
5459547335614750352	80237	3606	2025-12-31 07:07:09.96018+00	2025-11-28 22:14:55.094944+00	1795927062.3677828
5967020174375604668	80237	30192	2025-12-31 07:07:09.96018+00	2025-11-28 22:14:55.094944+00	1795927062.3677828
\.

COPY prep.listen_history_2026_01 (id, user_id, track_id, listened_at, created_at, _load_id) FROM stdin;
-7057012264163336599	1900	24331	2026-01-01 22:11:51.091746+00	2026-01-01 21:43:17.904149+00	1795927068.6063192
2106994694060399402	1900	25011	2026-01-01 22:11:51.091746+00	2026-01-01 21:43:17.904149+00	1795927068.6063192
-5039566534807417196	74724	74576	2026-01-01 02:21:49.284431+00	2025-11-11 12:57:52.979867+00	1795927068.6063192
1303494459180831855	80237	30192	2026-01-01 10:53:30.230352+00	2025-12-18 02:53:25.210083+00	1795927068.6063192
-2786209477900958297	80237	25011	2026-01-01 10:53:30.230352+00	2025-12-18 02:53:25.210083+00	1795927068.6063192
3381060176911612794	70377	39383	2026-01-02 22:44:21.629722+00	2026-01-02 12:10:33.554361+00	1795927070.9978828
-7611015284447140962	70377	97604	2026-01-02 22:44:21.629722+00	2026-01-02 12:10:33.554361+00	1795927070.9978828
6900596010688835310	70377	39104	2026-01-02 22:44:21.629722+00	2026-01-02 12:10:33.554361+00	1795927070.9978828
3784659589211620389	70377	39104	2026-01-02 22:44:21.629722+00	2026-01-02 12:10:33.554361+00	1795927070.9978828
1486574758585094836	70377	24331	2026-01-02 22:44:21.629722+00	2026-01-02 12:10:33.554361+00	1795927070.9978828
-7772542744504387699	70377	36462	2026-01-02 22:44:21.629722+00	2026-01-02 12:10:33.554361+00	1795927070.9978828
-7926658233525061911	74724	24319	2026-01-02 05:36:05.486559+00	2025-11-11 12:57:52.979867+00	1795927070.9978828
6077398265332127614	74724	24319	2026-01-02 06:48:54.309994+00	2025-12-28 00:58:19.423144+00	1795927070.9978828
5064857412408971880	74724	7435	2026-01-02 06:48:54.309994+00	2025-12-28 00:58:19.423144+00	1795927070.9978828
\.

COPY prep.parked_listens (id, user_id, track_id, is_user_unknown, is_track_unknown, listened_at, created_at, _load_id) FROM stdin;
\.

COPY prep.respelled_documents (key, user_id, created_at) FROM stdin;
\.

COPY prep.user_genre_totals (user_id, genre, listens, affinity, affinity_at, last_listened_at) FROM stdin;
78990	funk	3	0.005520117359142893	2026-08-31 00:00:00+00	2025-12-01 10:02:43.983223+00
80237	classical	2	0.006401399076408745	2026-08-31 00:00:00+00	2025-12-31 07:07:09.96018+00
29669	reggae	2	0.0069587355980438295	2026-08-31 00:00:00+00	2025-12-30 04:26:41.454448+00
42718	funk	1	0.0012940885540031282	2026-08-31 00:00:00+00	2025-11-16 04:25:46.137282+00
80237	funk	1	0.0036697260973785066	2026-08-31 00:00:00+00	2025-12-31 07:07:09.96018+00
42718	indie	2	0.0025881771080062564	2026-08-31 00:00:00+00	2025-11-16 04:25:46.137282+00
80237	punk	1	0.0036697260973785066	2026-08-31 00:00:00+00	2025-12-31 07:07:09.96018+00
74724	reggae	1	0.003457714569517203	2026-08-31 00:00:00+00	2025-12-28 17:18:17.414581+00
74724	funk	4	0.009487643994253139	2026-08-31 00:00:00+00	2025-12-28 17:18:17.414581+00
80237	reggae	1	0.0036697260973785066	2026-08-31 00:00:00+00	2025-12-31 07:07:09.96018+00
42718	punk	1	0.0012940885540031282	2026-08-31 00:00:00+00	2025-11-16 04:25:46.137282+00
29669	funk	4	0.012744639549744514	2026-08-31 00:00:00+00	2025-12-30 04:26:41.454448+00
29669	indie	7	0.02240168634161574	2026-08-31 00:00:00+00	2025-12-30 04:26:41.454448+00
29669	punk	2	0.005785903951700685	2026-08-31 00:00:00+00	2025-12-21 00:03:56.96797+00
29669	country	4	0.012744639549744514	2026-08-31 00:00:00+00	2025-12-30 04:26:41.454448+00
78990	country	8	0.014720312957714381	2026-08-31 00:00:00+00	2025-12-01 10:02:43.983223+00
29669	jazz	3	0.009657046791871224	2026-08-31 00:00:00+00	2025-12-27 18:19:15.854726+00
80237	country	1	0.0036697260973785066	2026-08-31 00:00:00+00	2025-12-31 07:07:09.96018+00
74724	punk	5	0.008882776793688553	2026-08-31 00:00:00+00	2026-01-01 02:21:49.284431+00
80237	indie	4	0.014778343473664397	2026-08-31 00:00:00+00	2026-01-01 10:53:30.230352+00
80237	jazz	2	0.007438891278907379	2026-08-31 00:00:00+00	2026-01-01 10:53:30.230352+00
80237	techno	8	0.02664308850813362	2026-08-31 00:00:00+00	2026-01-01 10:53:30.230352+00
1900	jazz	1	0.0038104133661501817	2026-08-31 00:00:00+00	2026-01-01 22:11:51.091746+00
1900	country	1	0.0038104133661501817	2026-08-31 00:00:00+00	2026-01-01 22:11:51.091746+00
1900	indie	1	0.0038104133661501817	2026-08-31 00:00:00+00	2026-01-01 22:11:51.091746+00
1900	funk	1	0.0038104133661501817	2026-08-31 00:00:00+00	2026-01-01 22:11:51.091746+00
70377	techno	2	0.0078030241776888675	2026-08-31 00:00:00+00	2026-01-02 22:44:21.629722+00
70377	indie	1	0.0039015120888444338	2026-08-31 00:00:00+00	2026-01-02 22:44:21.629722+00
74724	classical	3	0.007525019802123787	2026-08-31 00:00:00+00	2025-12-28 17:18:17.414581+00
74724	techno	2	0.0062389123745144204	2026-08-31 00:00:00+00	2025-12-28 17:18:17.414581+00
70377	classical	3	0.0117045362665333	2026-08-31 00:00:00+00	2026-01-02 22:44:21.629722+00
74724	indie	10	0.021828135357458894	2026-08-31 00:00:00+00	2026-01-01 02:21:49.284431+00
70377	funk	2	0.0078030241776888675	2026-08-31 00:00:00+00	2026-01-02 22:44:21.629722+00
70377	rock	3	0.0117045362665333	2026-08-31 00:00:00+00	2026-01-02 22:44:21.629722+00
74724	rock	5	0.012268841799250356	2026-08-31 00:00:00+00	2025-12-28 17:18:17.414581+00
29669	rock	2	0.005785903951700685	2026-08-31 00:00:00+00	2025-12-21 00:03:56.96797+00
74724	jazz	2	0.007679827165254496	2026-08-31 00:00:00+00	2026-01-02 06:48:54.309994+00
42718	rock	2	0.0025881771080062564	2026-08-31 00:00:00+00	2025-11-16 04:25:46.137282+00
42718	classical	2	0.0025881771080062564	2026-08-31 00:00:00+00	2025-11-16 04:25:46.137282+00
70377	country	2	0.0078030241776888675	2026-08-31 00:00:00+00	2026-01-02 22:44:21.629722+00
29669	techno	2	0.006469640165883731	2026-08-31 00:00:00+00	2025-12-30 04:26:41.454448+00
29669	classical	2	0.006274999383860783	2026-08-31 00:00:00+00	2025-12-27 18:19:15.854726+00
74724	country	4	0.011367176473012408	2026-08-31 00:00:00+00	2026-01-02 06:48:54.309994+00
42718	techno	1	0.0012940885540031282	2026-08-31 00:00:00+00	2025-11-16 04:25:46.137282+00
\.

COPY prep.user_totals (user_id, listens, track_ids, days, last_listened_at) FROM stdin;
29669	15	{3606,7435,24319,24331,25011,30192,36462,39104,74576,97604}	{2025-12-21,2025-12-27,2025-12-30}	2025-12-30 04:26:41.454448+00
42718	4	{36462,39104,74576,97604}	{2025-11-16}	2025-11-16 04:25:46.137282+00
78990	8	{7435,24331}	{2025-12-01}	2025-12-01 10:02:43.983223+00
80237	15	{3606,24331,25011,30192,74576,97604}	{2025-12-18,2025-12-31,2026-01-01}	2026-01-01 10:53:30.230352+00
1900	2	{24331,25011}	{2026-01-01}	2026-01-01 22:11:51.091746+00
70377	6	{24331,36462,39104,39383,97604}	{2026-01-02}	2026-01-02 22:44:21.629722+00
74724	20	{3606,7435,24319,30192,36462,39104,74576,97604}	{2025-11-15,2025-12-19,2025-12-28,2026-01-01,2026-01-02}	2026-01-02 06:48:54.309994+00
\.

COPY staging._dlt_loads (load_id, schema_name, status, inserted_at, schema_version_hash) FROM stdin;
1795927062.3677828	moovitamix	0	2026-11-29 04:37:42.631378+00	Okfo3XEIU3bHIok8BjEqZsQEdx7SYtrRwXc30738BgE=
1795927068.6063192	moovitamix	0	2026-11-29 04:37:48.713832+00	Okfo3XEIU3bHIok8BjEqZsQEdx7SYtrRwXc30738BgE=
1795927070.9978828	moovitamix	0	2026-11-29 04:37:51.109158+00	Okfo3XEIU3bHIok8BjEqZsQEdx7SYtrRwXc30738BgE=
\.

COPY staging._dlt_pipeline_state (version, engine_version, pipeline_name, state, created_at, version_hash, _dlt_load_id, _dlt_id) FROM stdin;
1	4	moovitamix	eNptj81qw0AMhN9FZ2NInUIx9FCfckhMDmkOLWVRbcXedH8cS5u6lL571yQGB3KdTzOj+QXFgkLqTD1r7yBfJJNErtFuRpYJdLojM4oOLUEO1vuzFrR6gARqFGSSicWQ6G9GQAcMRhRXLVm8650hhvx9Dj/GABbtUOIbSn660U2D9FhJatDVsSVVW8/S9NF9e34pc8GYuOs6RbXIbcz4pH31WGSvD7bLVsPiGHbNqeTCh96+PZUvdbvR6+Do24evZ/j7BwOFbPM=	2026-11-29 04:37:42.486051+00	beVc5B3U2mp3Hx1juTgqNsBourmZ8NAdhMiLunewouk=	1795927062.3677828	HwQOmgm3ejaRxg
\.

COPY staging._dlt_version (version, engine_version, inserted_at, schema_name, version_hash, schema) FROM stdin;
2	11	2026-11-29 04:37:42.568196+00	moovitamix	Okfo3XEIU3bHIok8BjEqZsQEdx7SYtrRwXc30738BgE=	{"version":2,"version_hash":"Okfo3XEIU3bHIok8BjEqZsQEdx7SYtrRwXc30738BgE=","engine_version":11,"name":"moovitamix","tables":{"_dlt_version":{"name":"_dlt_version","columns":{"version":{"name":"version","data_type":"bigint","nullable":false,"description":"Numeric version of the schema, incremented on each schema change"},"engine_version":{"name":"engine_version","data_type":"bigint","nullable":false,"description":"Version of the dlt schema engine that created this schema"},"inserted_at":{"name":"inserted_at","data_type":"timestamp","nullable":false,"description":"Timestamp when this schema version was stored"},"schema_name":{"name":"schema_name","data_type":"text","nullable":false,"description":"Name of the schema"},"version_hash":{"name":"version_hash","data_type":"text","nullable":false,"description":"Unique hash of the schema content, used to detect changes"},"schema":{"name":"schema","data_type":"text","nullable":false,"description":"JSON representation of the complete schema definition"}},"write_disposition":"skip","resource":"_dlt_version","description":"Created by DLT. Tracks schema updates"},"_dlt_loads":{"name":"_dlt_loads","columns":{"load_id":{"name":"load_id","data_type":"text","nullable":false,"precision":64,"description":"Unique identifier of the load operation"},"schema_name":{"name":"schema_name","data_type":"text","nullable":true,"description":"Name of the schema associated with this load"},"status":{"name":"status","data_type":"bigint","nullable":false,"description":"Status of the load operation (0 = success)"},"inserted_at":{"name":"inserted_at","data_type":"timestamp","nullable":false,"description":"Timestamp when the load was completed"},"schema_version_hash":{"name":"schema_version_hash","data_type":"text","nullable":true,"description":"Hash of the schema version used during this load"}},"write_disposition":"skip","resource":"_dlt_loads","description":"Created by DLT. Tracks completed loads"},"users":{"columns":{"key":{"name":"key","nullable":false,"data_type":"text"},"payload":{"name":"payload","nullable":true,"data_type":"json"},"content_hash":{"name":"content_hash","nullable":false,"data_type":"text"},"_dlt_load_id":{"name":"_dlt_load_id","data_type":"text","nullable":false,"precision":64,"description":"Load identifier linking this row to its load operation"},"_dlt_id":{"name":"_dlt_id","data_type":"text","nullable":false,"unique":true,"row_key":true,"precision":64,"description":"Unique identifier for this row, generated by dlt"}},"write_disposition":"append","file_format":"csv","name":"users","resource":"users","x-normalizer":{"seen-data":true}},"tracks":{"columns":{"key":{"name":"key","nullable":false,"data_type":"text"},"payload":{"name":"payload","nullable":true,"data_type":"json"},"content_hash":{"name":"content_hash","nullable":false,"data_type":"text"},"_dlt_load_id":{"name":"_dlt_load_id","data_type":"text","nullable":false,"precision":64,"description":"Load identifier linking this row to its load operation"},"_dlt_id":{"name":"_dlt_id","data_type":"text","nullable":false,"unique":true,"row_key":true,"precision":64,"description":"Unique identifier for this row, generated by dlt"}},"write_disposition":"append","file_format":"csv","name":"tracks","resource":"tracks","x-normalizer":{"seen-data":true}},"listen_history":{"columns":{"key":{"name":"key","nullable":false,"data_type":"text"},"payload":{"name":"payload","nullable":true,"data_type":"json"},"content_hash":{"name":"content_hash","nullable":false,"data_type":"text"},"_dlt_load_id":{"name":"_dlt_load_id","data_type":"text","nullable":false,"precision":64,"description":"Load identifier linking this row to its load operation"},"_dlt_id":{"name":"_dlt_id","data_type":"text","nullable":false,"unique":true,"row_key":true,"precision":64,"description":"Unique identifier for this row, generated by dlt"}},"write_disposition":"append","file_format":"csv","name":"listen_history","resource":"listen_history","x-normalizer":{"seen-data":true}},"unreadable_rows":{"columns":{"table_name":{"nullable":false,"data_type":"text","name":"table_name"},"key":{"nullable":true,"data_type":"text","name":"key"},"raw":{"nullable":false,"data_type":"text","name":"raw"},"reason":{"nullable":false,"data_type":"text","name":"reason"},"content_hash":{"nullable":false,"data_type":"text","name":"content_hash"},"_dlt_load_id":{"name":"_dlt_load_id","data_type":"text","nullable":false},"_dlt_id":{"name":"_dlt_id","data_type":"text","nullable":false,"unique":true,"row_key":true}},"write_disposition":"append","file_format":"csv","name":"unreadable_rows","resource":"unreadable_rows","x-normalizer":{"seen-data":true}},"scans":{"columns":{"table_name":{"name":"table_name","nullable":false,"data_type":"text"},"total":{"name":"total","nullable":false,"data_type":"bigint"},"rows_read":{"name":"rows_read","nullable":false,"data_type":"bigint"},"rows_unchanged":{"name":"rows_unchanged","nullable":false,"data_type":"bigint"},"rows_landed":{"name":"rows_landed","nullable":false,"data_type":"bigint"},"rows_removed":{"name":"rows_removed","nullable":false,"data_type":"bigint"},"rows_unreadable":{"name":"rows_unreadable","nullable":false,"data_type":"bigint"},"keys_known":{"name":"keys_known","nullable":false,"data_type":"bigint"},"passes":{"name":"passes","nullable":false,"data_type":"bigint"},"keys_unsettled":{"name":"keys_unsettled","nullable":true,"data_type":"bigint"},"keys_delivered":{"name":"keys_delivered","nullable":true,"data_type":"bigint"},"keys_lost":{"name":"keys_lost","nullable":true,"data_type":"bigint"},"keys_changed":{"name":"keys_changed","nullable":true,"data_type":"bigint"},"started_at":{"name":"started_at","nullable":false,"data_type":"timestamp"},"finished_at":{"name":"finished_at","nullable":false,"data_type":"timestamp"},"_dlt_load_id":{"name":"_dlt_load_id","data_type":"text","nullable":false,"precision":64,"description":"Load identifier linking this row to its load operation"},"_dlt_id":{"name":"_dlt_id","data_type":"text","nullable":false,"unique":true,"row_key":true,"precision":64,"description":"Unique identifier for this row, generated by dlt"}},"write_disposition":"append","file_format":"csv","name":"scans","resource":"scans","x-normalizer":{"seen-data":true}},"_dlt_pipeline_state":{"columns":{"version":{"name":"version","data_type":"bigint","nullable":false,"description":"Numeric version of the pipeline state"},"engine_version":{"name":"engine_version","data_type":"bigint","nullable":false,"description":"Version of the dlt state engine"},"pipeline_name":{"name":"pipeline_name","data_type":"text","nullable":false,"description":"Name of the pipeline this state belongs to"},"state":{"name":"state","data_type":"text","nullable":false,"description":"Compressed JSON representation of the pipeline state"},"created_at":{"name":"created_at","data_type":"timestamp","nullable":false,"description":"Timestamp when this state was created"},"version_hash":{"name":"version_hash","data_type":"text","nullable":true,"description":"Hash of the state content, used to detect changes"},"_dlt_load_id":{"name":"_dlt_load_id","data_type":"text","nullable":false,"precision":64,"description":"Load identifier linking this row to its load operation"},"_dlt_id":{"name":"_dlt_id","data_type":"text","nullable":false,"unique":true,"row_key":true}},"write_disposition":"append","file_format":"preferred","name":"_dlt_pipeline_state","resource":"_dlt_pipeline_state","x-normalizer":{"seen-data":true}}},"settings":{"detections":["iso_timestamp"],"default_hints":{"not_null":["_dlt_id","_dlt_root_id","_dlt_parent_id","_dlt_list_idx","_dlt_load_id"],"parent_key":["_dlt_parent_id"],"root_key":["_dlt_root_id"],"unique":["_dlt_id"],"row_key":["_dlt_id"]}},"normalizers":{"names":"snake_case","json":{"module":"dlt.common.normalizers.json.relational"}},"previous_hashes":["m5XVNiczvVBmYVCQASbqRrg6GcI6Crr1Vt4r6cH6ZaE=","OpeQkkvDYaNJ6V4GyJOpHDIDdl6aKPBBv0NjMu3pLxc="]}
\.

COPY staging.listen_history (key, payload, content_hash, _dlt_load_id, _dlt_id, version_seq) FROM stdin;
[42718,"2025-11-14T17:58:22.778051"]	{"items": [36462, 74576, 97604, 39104], "user_id": 42718, "created_at": "2025-11-14T17:58:22.778051", "updated_at": "2025-11-16T04:25:46.137282"}	8a2e9f0d3461eaa88054fc7f9e3975d3	1795927062.3677828	FpWpDxR3h42ipA	1
[29669,"2025-12-29T15:44:52.416793"]	{"items": [3606, 24331, 30192], "user_id": 29669, "created_at": "2025-12-29T15:44:52.416793", "updated_at": "2025-12-30T04:26:41.454448"}	ee65f1d2d1e741813c1f9717bed27242	1795927062.3677828	FWUxTgMvyH4Onw	2
[80237,"2025-12-18T02:53:25.210083"]	{"items": [30192, 30192, 97604, 30192], "user_id": 80237, "created_at": "2025-12-18T02:53:25.210083", "updated_at": "2025-12-18T12:28:49.290122"}	c85eb61b026107bfc29d1ddabf38eb99	1795927062.3677828	RVZ5fEZ7QFn3Ww	3
[74724,"2025-12-28T00:58:19.423144"]	{"items": [97604, 36462, 3606, 36462, 30192, 7435], "user_id": 74724, "created_at": "2025-12-28T00:58:19.423144", "updated_at": "2025-12-28T17:18:17.414581"}	6a79f566fd07f635c4986dda881b9b68	1795927062.3677828	jcwl2LktscRStQ	4
[74724,"2025-12-07T20:40:56.433457"]	{"items": [39104, 7435], "user_id": 74724, "created_at": "2025-12-07T20:40:56.433457", "updated_at": "2025-12-19T07:08:38.008975"}	7e1967ee2d8780bd0ee9159eaa8cac75	1795927062.3677828	BPZLMssqFnT3Ig	5
[29669,"2025-12-18T04:54:50.877676"]	{"items": [24331, 7435, 74576, 36462, 39104, 74576, 24319], "user_id": 29669, "created_at": "2025-12-18T04:54:50.877676", "updated_at": "2025-12-21T00:03:56.967970"}	5880ec7d74f8a91b289c9f433bcdeb77	1795927062.3677828	q3SSweRJwciZbg	6
[80237,"2025-11-28T22:14:55.094944"]	{"items": [97604, 24331, 74576, 30192, 30192, 25011, 30192, 30192, 3606], "user_id": 80237, "created_at": "2025-11-28T22:14:55.094944", "updated_at": "2025-12-31T07:07:09.960180"}	4911a0c27ed0cd0aacbcc2f827764d6c	1795927062.3677828	b/F0AIrin+VXbg	7
[74724,"2025-11-11T12:57:52.979867"]	{"items": [36462, 97604, 36462, 74576, 74576, 74576, 74576, 7435], "user_id": 74724, "created_at": "2025-11-11T12:57:52.979867", "updated_at": "2025-11-15T22:00:12.047804"}	1041a48a2c9b35af6440e21ac5eae816	1795927062.3677828	+ktovdlXkd4gGw	8
[78990,"2025-11-07T10:43:42.215367"]	{"items": [7435, 24331, 24331, 7435, 24331, 7435, 7435, 7435], "user_id": 78990, "created_at": "2025-11-07T10:43:42.215367", "updated_at": "2025-12-01T10:02:43.983223"}	baa668e48aa7321cf07e09cab2706d2e	1795927062.3677828	f3b7v4+sQXY+4w	9
[29669,"2025-11-05T02:38:30.785783"]	{"items": [97604, 25011, 25011, 24331, 3606], "user_id": 29669, "created_at": "2025-11-05T02:38:30.785783", "updated_at": "2025-12-27T18:19:15.854726"}	75723021a48a3e5a0dbfb3a0958d0cee	1795927062.3677828	GzuVL0xyPKcxNw	10
[80237,"2025-12-18T02:53:25.210083"]	{"items": [30192, 30192, 97604, 30192, 25011, 30192], "user_id": 80237, "created_at": "2025-12-18T02:53:25.210083", "updated_at": "2026-01-01T10:53:30.230352"}	8f286c343c320b262a5eb9e49cb004a3	1795927068.6063192	fxB+iu1cK7iA5Q	11
[74724,"2025-11-11T12:57:52.979867"]	{"items": [36462, 74576, 74576, 74576, 74576, 7435, 97604, 74576], "user_id": 74724, "created_at": "2025-11-11T12:57:52.979867", "updated_at": "2026-01-01T02:21:49.284431"}	3f665b2a445f9ee31efced54c46f4f67	1795927068.6063192	TRMxaDJeJa1DXQ	12
[78990,"2025-11-07T10:43:42.215367"]	{"items": [24331, 7435, 24331, 7435, 7435, 7435, 24331, 7435], "user_id": 78990, "created_at": "2025-11-07T10:43:42.215367", "updated_at": "2026-01-01T13:28:36.564240"}	77ddc92f498cdbff1311c55f0cfc9e16	1795927068.6063192	bFe6SpDZpm3a9A	13
[1900,"2026-01-01T21:43:17.904149"]	{"items": [24331, 25011], "user_id": 1900, "created_at": "2026-01-01T21:43:17.904149", "updated_at": "2026-01-01T22:11:51.091746"}	7829f5b34f745d720a6185be3b6fc4e1	1795927068.6063192	pUIISKHNH4d5LA	14
[74724,"2025-12-28T00:58:19.423144"]	{"items": [97604, 36462, 3606, 36462, 30192, 7435, 24319, 7435], "user_id": 74724, "created_at": "2025-12-28T00:58:19.423144", "updated_at": "2026-01-02T06:48:54.309994"}	6233922f1578d34bdd0ab83cf759616c	1795927070.9978828	dTSXEcAXcc1gDg	15
[74724,"2025-11-11T12:57:52.979867"]	{"items": [74576, 74576, 74576, 74576, 7435, 97604, 74576, 24319], "user_id": 74724, "created_at": "2025-11-11T12:57:52.979867", "updated_at": "2026-01-02T05:36:05.486559"}	4aefce9e6b214fbfc7f54b101bdf6489	1795927070.9978828	FRq7rw4Fzu/nvA	16
[70377,"2026-01-02T12:10:33.554361"]	{"items": [97604, 39383, 39104, 39104, 36462, 24331], "user_id": 70377, "created_at": "2026-01-02T12:10:33.554361", "updated_at": "2026-01-02T22:44:21.629722"}	a8b56d8efaa2bc3003da73326c2ca94d	1795927070.9978828	Gxfi6LJQM8I5Hg	17
\.

COPY staging.scans (table_name, total, rows_read, rows_unchanged, rows_landed, rows_removed, rows_unreadable, keys_known, passes, keys_unsettled, keys_delivered, keys_lost, keys_changed, started_at, finished_at, _dlt_load_id, _dlt_id, version_seq) FROM stdin;
users	10	10	0	10	0	0	0	1	0	0	0	0	2026-11-29 04:37:42.292125+00	2026-11-29 04:37:42.309156+00	1795927062.3677828	QunaPlEMFzHatQ	1
tracks	10	10	0	10	0	0	0	1	0	0	0	0	2026-11-29 04:37:42.292868+00	2026-11-29 04:37:42.308832+00	1795927062.3677828	f5e4g82as3E9bA	2
listen_history	10	10	0	10	0	0	0	1	0	0	0	0	2026-11-29 04:37:42.292943+00	2026-11-29 04:37:42.31185+00	1795927062.3677828	N4dJlEHfiUv3lQ	3
users	11	11	7	4	0	0	10	1	1	10	0	2	2026-11-29 04:37:48.560906+00	2026-11-29 04:37:48.566773+00	1795927068.6063192	wje8sMabzxp+tw	4
tracks	11	11	9	2	0	0	10	1	0	10	0	1	2026-11-29 04:37:48.560961+00	2026-11-29 04:37:48.567123+00	1795927068.6063192	sYj/FMH83uR1Uw	5
listen_history	11	11	7	4	0	0	10	1	0	10	0	3	2026-11-29 04:37:48.560997+00	2026-11-29 04:37:48.567441+00	1795927068.6063192	z3xjYqo4j54yWg	6
users	12	12	9	3	1	0	12	2	0	12	1	2	2026-11-29 04:37:50.952252+00	2026-11-29 04:37:50.958976+00	1795927070.9978828	Flg4Yzl9I8+qJg	7
tracks	12	12	10	2	0	0	11	1	0	11	0	1	2026-11-29 04:37:50.952319+00	2026-11-29 04:37:50.959334+00	1795927070.9978828	FVM9qrJjIU8FMQ	8
listen_history	12	12	9	3	0	0	11	1	0	11	0	2	2026-11-29 04:37:50.952359+00	2026-11-29 04:37:50.959585+00	1795927070.9978828	PVfC0cjM/SJE6g	9
\.

COPY staging.tracks (key, payload, content_hash, _dlt_load_id, _dlt_id, version_seq) FROM stdin;
[74576]	{"id": 74576, "name": "été engine ground", "album": "engine", "artist": "Björn Åberg", "genres": "Punk, Indie", "duration": "03:02", "created_at": "2025-04-27T13:09:12.923650", "updated_at": "2025-11-08T07:32:48.533160", "songwriters": "Chloé Washington"}	a3f264128c73a4081c25c3fcb72962f6	1795927062.3677828	8VF+aSLKgM7YIQ	1
[24331]	{"id": 24331, "name": "mirror", "album": "engine", "artist": "Zoë Okafor", "genres": "Funk, Country", "duration": "03:37", "created_at": "2025-06-02T09:10:46.814782", "updated_at": "2025-06-12T17:34:55.031895", "songwriters": "Mei Kowalski"}	2e08cca82edaa54086e33e5922402336	1795927062.3677828	NMHwakLKw5xr5g	2
[36462]	{"id": 36462, "name": "mirror ground", "album": "garden", "artist": "José Haddad", "genres": "Rock, Funk, Indie", "duration": "05:46", "created_at": "2025-07-04T18:43:15.382760", "updated_at": "2025-08-26T17:29:05.945076", "songwriters": "Zoë Müller"}	8d6b1ec394d15e8da03db36ba7472a3e	1795927062.3677828	Xc0eZKuQ6LCHDw	3
[30192]	{"id": 30192, "name": "strong", "album": "harbour", "artist": "Kofi Åberg", "genres": "Techno", "duration": "04:20", "created_at": "2024-12-27T00:33:38.043731", "updated_at": "2025-05-08T07:28:24.150534", "songwriters": "William Villegas"}	2141da73bfd5d78946727eda107f8306	1795927062.3677828	/S+tpPVRitD8CA	4
[97604]	{"id": 97604, "name": "mirror", "album": "signal", "artist": "Yuki Sato", "genres": "Classical", "duration": "01:32", "created_at": "2024-12-16T22:07:02.158760", "updated_at": "2025-09-01T11:59:26.369893", "songwriters": "Priya Núñez"}	aee103846266b78c3edcb858ca9921de	1795927062.3677828	bCGPD7I2Cz057g	5
[25011]	{"id": 25011, "name": "before", "album": "ground", "artist": "Yuki Lin", "genres": "Jazz, Indie", "duration": "03:44", "created_at": "2025-01-30T16:07:23.050168", "updated_at": "2025-02-18T14:53:41.729177", "songwriters": "Zoë Villegas"}	735c93b4f088565692226a5afec23cae	1795927062.3677828	M2brSbBQ7YvxyA	6
[24319]	{"id": 24319, "name": "hotel river", "album": "paper", "artist": "William Garcia", "genres": "Jazz", "duration": "03:06", "created_at": "2025-02-09T17:01:13.991104", "updated_at": "2025-12-24T04:24:04.763837", "songwriters": "Kofi Kowalski"}	96ab95ed6fb395aef0e9ceec54f25ec4	1795927062.3677828	r9Q3yHQ2iMIjwg	7
[3606]	{"id": 3606, "name": "wrong", "album": "garden", "artist": "Thandi Mensah", "genres": "Indie, Reggae", "duration": "03:15", "created_at": "2025-03-19T06:35:56.226832", "updated_at": "2025-04-07T23:34:25.814819", "songwriters": "Olga Dubois, Mei Washington"}	7f394a076cde0d3ac1e877d9532df34a	1795927062.3677828	EnHHmPjOYc+iFQ	8
[7435]	{"id": 7435, "name": "midnight before honey", "album": "hotel", "artist": "Ann Müller", "genres": "country", "duration": "09:51", "created_at": "2025-04-28T11:20:24.884492", "updated_at": "2025-11-11T12:01:48.026206", "songwriters": "Peter Sato, José Kowalski"}	5358242747c4bc85e73d1d7309f38f8d	1795927062.3677828	Q+NBW66LSk3wOw	9
[39104]	{"id": 39104, "name": "voice winter winter", "album": "harbour", "artist": "Priya O'Brien", "genres": "Hip Hop", "duration": "04:09", "created_at": "2025-12-17T15:44:28.751764", "updated_at": "2025-12-24T01:36:54.273792", "songwriters": "Olga Washington"}	a7e06f31dc358bb6546c844b93ebd47a	1795927062.3677828	HU8tavGhKKNaFw	10
[25011]	{"id": 25011, "name": "before", "album": "signal", "artist": "Yuki Lin", "genres": "Jazz, Indie", "duration": "03:44", "created_at": "2025-01-30T16:07:23.050168", "updated_at": "2026-01-01T08:47:28.569103", "songwriters": "Zoë Villegas"}	8dd9925392972b4844bc48b3036b4cb4	1795927068.6063192	AzFMuZeIP8LZLQ	11
[67639]	{"id": 67639, "name": "wrong", "album": "glass", "artist": "Zoë Brown", "genres": "Indie", "duration": "05:37", "created_at": "2026-01-01T14:48:12.282973", "updated_at": "2026-01-01T14:48:20.116387", "songwriters": "Noor Villegas"}	1d92507fc155c34b4bce6458a40ebd78	1795927068.6063192	Ixgl2lKKPy0BMA	12
[39104]	{"id": 39104, "name": "voice winter winter", "album": "harbour", "artist": "Priya O'Brien", "genres": "Rock, Techno, Classical", "duration": "04:09", "created_at": "2025-12-17T15:44:28.751764", "updated_at": "2026-01-02T04:50:21.241313", "songwriters": "Olga Washington"}	6b4b4d5c2edb38350c035f62dfa6bbb5	1795927070.9978828	6PMzaC5ZJdEyrw	13
[39383]	{"id": 39383, "name": "ahead winter", "album": "hotel", "artist": "Kofi van der Berg", "genres": "Country", "duration": "05:52", "created_at": "2026-01-02T15:17:21.398976", "updated_at": "2026-01-02T23:10:37.980798", "songwriters": "Zoë Núñez"}	bf81629073b8fbb27bd029c47bd0f8ab	1795927070.9978828	ki/gCfHg5Lu12g	14
\.

COPY staging.unreadable_rows (table_name, key, raw, reason, content_hash, _dlt_load_id, _dlt_id) FROM stdin;
\.

COPY staging.users (key, payload, content_hash, _dlt_load_id, _dlt_id, version_seq) FROM stdin;
[74724]	{"id": 74724, "email": "cameron.smithjones9865@example.org", "gender": "Gender nonconforming", "last_name": "Smith-Jones", "created_at": "2025-09-18T12:20:22.742370", "first_name": "Cameron", "updated_at": "2025-10-31T23:20:47.327458", "favorite_genres": "R&B"}	cc0d5a9d04dd5103e92d891c32af5955	1795927062.3677828	uWKxeUllpxagEA	1
[1326]	{"id": 1326, "email": "zoe.brown4355@example.net", "gender": "Female", "last_name": "Brown", "created_at": "2025-10-28T23:49:01.635863", "first_name": "Zoë", "updated_at": "2025-12-23T01:45:56.312088", "favorite_genres": "Metal, Rock"}	271998d01befd8826e5210604594cf65	1795927062.3677828	ArEQYItCYiyiAQ	2
[36267]	{"id": 36267, "email": "mei.dubois2448@example.com", "gender": "Genderqueer", "last_name": "Dubois", "created_at": "2024-12-13T12:22:25.934545", "first_name": "Mei", "updated_at": "2025-08-14T22:25:23.071802", "favorite_genres": "Techno"}	18717a0a8d5b57038210ef461acaec21	1795927062.3677828	FQ4h+TEy9E2niQ	3
[46527]	{"id": 46527, "email": "zoe.vanderberg4448@example.org", "gender": "Gender nonconforming", "last_name": "van der Berg", "created_at": "2025-10-23T00:53:44.898695", "first_name": "Zoë", "updated_at": "2025-12-01T04:58:27.285387", "favorite_genres": "Funk, Rock"}	2157201e395d622c8dc45eab3e2d2f56	1795927062.3677828	5DuFnmfO41QFqQ	4
[80237]	{"id": 80237, "email": "wanda.garcia566@example.org", "gender": "Gender questioning", "last_name": "Garcia", "created_at": "2025-02-09T19:24:10.037231", "first_name": "Wanda", "updated_at": "2025-10-29T10:38:05.389180", "favorite_genres": "Techno, Electronic, Indie"}	f0db7ad168a319dd5e2fb095e7cebfb6	1795927062.3677828	gGYNKxHIprM+rQ	5
[78990]	{"id": 78990, "email": "mei.villegas300@example.com", "gender": "Gender nonconforming", "last_name": "Villegas", "created_at": "2025-10-08T19:50:22.215082", "first_name": "Mei", "updated_at": "2025-12-12T03:28:29.217830", "favorite_genres": "Country, Pop"}	5702e7ef52dd4fe0e4a3eff2c667d1da	1795927062.3677828	WR0kd5A6fPHwgg	6
[1900]	{"id": 1900, "email": "cameron.garcia3999@example.com", "gender": "Genderqueer", "last_name": "Garcia", "created_at": "2025-10-09T05:12:41.743120", "first_name": "Cameron", "updated_at": "2025-11-14T17:49:05.457565", "favorite_genres": "Funk"}	24e3c79ae28ae7150957c7f095dfd628	1795927062.3677828	YwBqu/+ZBkBrhA	7
[42718]	{"id": 42718, "email": "noor.mensah1183@example.com", "gender": "Genderfluid", "last_name": "Mensah", "created_at": "2024-11-29T18:07:58.529546", "first_name": "Noor", "updated_at": "2025-11-09T23:21:30.089709", "favorite_genres": "R&B"}	b202fc86114b472a318b161c8f5d6a3b	1795927062.3677828	vNljD3ZK2BVxeQ	8
[90536]	{"id": 90536, "email": "william.muller2087@example.org", "gender": "Genderfluid", "last_name": "Müller", "created_at": "2025-01-05T11:37:55.775861", "first_name": "William", "updated_at": "2025-05-27T23:29:48.921377", "favorite_genres": "Blues, Indie, Punk"}	53d59b606f29e2f9ac87a8febcf872d0	1795927062.3677828	ZY25t5yf/Btcpw	9
[29669]	{"id": 29669, "email": "kelsey.washington7644@example.com", "gender": "Gender nonconforming", "last_name": "Washington", "created_at": "2025-03-11T02:43:54.825614", "first_name": "Kelsey", "updated_at": "2025-03-15T12:51:54.387849", "favorite_genres": "R&B"}	263fac3469304244fa7ea3b736911d49	1795927062.3677828	NTU1k6J0dfomOw	10
[null]	{"email": "cameron.smithjones9865@example.org", "gender": "Gender nonconforming", "last_name": "Smith-Jones", "created_at": "2025-09-18T12:20:22.742370", "first_name": "Cameron", "updated_at": "2025-10-31T23:20:47.327458", "favorite_genres": "R&B"}	a3623d6ebcc97e6af1c7195be2f9f78a	1795927068.6063192	KjVstDo5ElNu7w	11
[80237]	{"id": 80237, "email": "wanda.garcia566@example.org", "gender": "Gender questioning", "last_name": "Garcia", "created_at": "2025-02-09T19:24:10.037231", "first_name": "Wanda", "updated_at": null, "favorite_genres": "Techno, Electronic, Indie"}	4459bbfb6490f413ac6021f4a8806349	1795927068.6063192	Rn1wnjwkg75POQ	12
[29669]	{"id": 29669, "email": "kelsey.washington7644@example.com", "gender": "Gender nonconforming", "last_name": "Müller", "created_at": "2025-03-11T02:43:54.825614", "first_name": "Kelsey", "updated_at": "2026-01-01T15:40:29.956769", "favorite_genres": "R&B"}	50252385ce6ead03b3c83dd08e0733ae	1795927068.6063192	L4m3ANlQCnvqWQ	13
[70377]	{"id": 70377, "email": "peter.harris7948@example.com", "gender": "Gender nonconforming", "last_name": "Harris", "created_at": "2026-01-01T00:41:00.596783", "first_name": "Peter", "updated_at": "2026-01-01T21:44:18.318034", "favorite_genres": "Blues, R&B"}	e3c1b53337a195b75323b965842ee71b	1795927068.6063192	nQ0eLyHXplyHBQ	14
[1326]	{"id": 1326, "email": "zoe.brown4355@example.net", "gender": "Female", "last_name": "Mensah", "created_at": "2025-10-28T23:49:01.635863", "first_name": "Zoë", "updated_at": "2026-01-02T14:58:22.193238", "favorite_genres": "Metal, Rock"}	266de0c24c0776760a697fa6c61775b3	1795927070.9978828	LOTIIzV38MM6ng	15
[80237]	{"id": 80237, "email": "wanda.garcia566@example.org", "gender": "Gender questioning", "last_name": "Garcia", "created_at": "2025-02-09T19:24:10.037231", "first_name": "Wanda", "updated_at": "2025-10-29T10:38:05.389180", "favorite_genres": "Techno, Electronic, Indie"}	f0db7ad168a319dd5e2fb095e7cebfb6	1795927070.9978828	7j5IuYgdiaUlyw	16
[28198]	{"id": 28198, "email": "amara.villegas3750@example.net", "gender": "Agender", "last_name": "Villegas", "created_at": "2026-01-02T19:57:03.751228", "first_name": "Amara", "updated_at": "2026-01-02T23:54:12.402144", "favorite_genres": "Electronic, Hip Hop, Metal"}	1665123db60b65513872e5a3717f8891	1795927070.9978828	jSiBkc0Nsbf1jg	17
[null]	\N	removed	1795927070.9978828	6TmA+pMI2lNGLw	18
\.

SELECT pg_catalog.setval('gate.decisions_decision_seq_seq', 1, false);

SELECT pg_catalog.setval('gate.publications_seq_seq', 9, true);

SELECT pg_catalog.setval('ops.runs_run_seq_seq', 3, true);

SELECT pg_catalog.setval('staging.listen_history_version_seq_seq', 17, true);

SELECT pg_catalog.setval('staging.scans_version_seq_seq', 9, true);

SELECT pg_catalog.setval('staging.tracks_version_seq_seq', 14, true);

SELECT pg_catalog.setval('staging.users_version_seq_seq', 18, true);

ALTER TABLE ONLY gate.decisions
    ADD CONSTRAINT decisions_pkey PRIMARY KEY (decision_seq);

ALTER TABLE ONLY gate.erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (tombstone);

ALTER TABLE ONLY gate.loads
    ADD CONSTRAINT loads_pkey PRIMARY KEY (load_id, table_name);

ALTER TABLE ONLY gate.publications
    ADD CONSTRAINT publications_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY gate.quarantined_rows
    ADD CONSTRAINT quarantined_rows_pkey PRIMARY KEY (dlt_id, rule);

ALTER TABLE ONLY gate.told_fields
    ADD CONSTRAINT told_fields_pkey PRIMARY KEY (table_name, field);

ALTER TABLE ONLY marts.listen_history
    ADD CONSTRAINT listen_history_pk PRIMARY KEY (user_id, listened_at, id);

ALTER TABLE ONLY marts.track_genres
    ADD CONSTRAINT track_genres_pk PRIMARY KEY (track_id, genre);

ALTER TABLE ONLY marts.tracks
    ADD CONSTRAINT tracks_pk PRIMARY KEY (id);

ALTER TABLE ONLY marts.users
    ADD CONSTRAINT users_pk PRIMARY KEY (id);

ALTER TABLE ONLY ops.owned_relations
    ADD CONSTRAINT owned_relations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY ops.run_columns
    ADD CONSTRAINT run_columns_pkey PRIMARY KEY (run_id, table_name, column_name);

ALTER TABLE ONLY ops.run_loads
    ADD CONSTRAINT run_loads_pkey PRIMARY KEY (run_id, load_id, table_name);

ALTER TABLE ONLY ops.run_nodes
    ADD CONSTRAINT run_nodes_pkey PRIMARY KEY (run_id, step, node);

ALTER TABLE ONLY ops.run_relations
    ADD CONSTRAINT run_relations_pkey PRIMARY KEY (run_id, relation);

ALTER TABLE ONLY ops.run_tables
    ADD CONSTRAINT run_tables_pkey PRIMARY KEY (run_id, table_name);

ALTER TABLE ONLY ops.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY ops.runs
    ADD CONSTRAINT runs_run_seq_key UNIQUE (run_seq);

ALTER TABLE ONLY ops.steps
    ADD CONSTRAINT steps_pkey PRIMARY KEY (run_id, step);

ALTER TABLE ONLY prep.builds
    ADD CONSTRAINT builds_pkey PRIMARY KEY (model);

ALTER TABLE ONLY prep.listen_history_2025_11
    ADD CONSTRAINT listen_history_2025_11_pkey PRIMARY KEY (user_id, listened_at, id);

ALTER TABLE ONLY prep.listen_history_2025_12
    ADD CONSTRAINT listen_history_2025_12_pkey PRIMARY KEY (user_id, listened_at, id);

ALTER TABLE ONLY prep.listen_history_2026_01
    ADD CONSTRAINT listen_history_2026_01_pkey PRIMARY KEY (user_id, listened_at, id);

ALTER TABLE ONLY prep.parked_listens
    ADD CONSTRAINT parked_listens_pk PRIMARY KEY (id);

ALTER TABLE ONLY prep.respelled_documents
    ADD CONSTRAINT respelled_documents_pk PRIMARY KEY (key);

ALTER TABLE ONLY prep.user_genre_totals
    ADD CONSTRAINT user_genre_totals_pk PRIMARY KEY (user_id, genre);

ALTER TABLE ONLY prep.user_totals
    ADD CONSTRAINT user_totals_pk PRIMARY KEY (user_id);

ALTER TABLE ONLY staging._dlt_pipeline_state
    ADD CONSTRAINT _dlt_pipeline_state__dlt_id_key UNIQUE (_dlt_id);

ALTER TABLE ONLY staging.listen_history
    ADD CONSTRAINT listen_history__dlt_id_key UNIQUE (_dlt_id);

ALTER TABLE ONLY staging.scans
    ADD CONSTRAINT scans__dlt_id_key UNIQUE (_dlt_id);

ALTER TABLE ONLY staging.tracks
    ADD CONSTRAINT tracks__dlt_id_key UNIQUE (_dlt_id);

ALTER TABLE ONLY staging.unreadable_rows
    ADD CONSTRAINT unreadable_rows__dlt_id_key UNIQUE (_dlt_id);

ALTER TABLE ONLY staging.users
    ADD CONSTRAINT users__dlt_id_key UNIQUE (_dlt_id);

CREATE INDEX publications_load ON gate.publications USING btree (load_id, table_name);

CREATE UNIQUE INDEX publications_once ON gate.publications USING btree (load_id, table_name) WHERE (kind = 'load'::text);

CREATE INDEX quarantined_rows_key ON gate.quarantined_rows USING btree (table_name, key);

CREATE INDEX "9267b7b82b24012c6c7d3d08cb85e5ef" ON ONLY marts.listen_history USING btree (track_id);

CREATE INDEX "0868c853baced582b6b263a3a395170c" ON prep.respelled_documents USING btree (user_id, created_at);

CREATE INDEX "2d2369b7ee6d42c56a0e52bb7b52f25a" ON prep.parked_listens USING btree (track_id);

CREATE INDEX "57ad3f8fb66e622dad8ac1dc86bd84bd" ON prep.parked_listens USING btree (user_id, created_at);

CREATE INDEX listen_history_2025_11_track_id_idx ON prep.listen_history_2025_11 USING btree (track_id);

CREATE INDEX listen_history_2025_12_track_id_idx ON prep.listen_history_2025_12 USING btree (track_id);

CREATE INDEX listen_history_2026_01_track_id_idx ON prep.listen_history_2026_01 USING btree (track_id);

CREATE INDEX listen_history_load ON staging.listen_history USING btree (_dlt_load_id);

CREATE INDEX listen_history_versions ON staging.listen_history USING btree (key, version_seq) INCLUDE (content_hash, _dlt_load_id);

CREATE INDEX tracks_load ON staging.tracks USING btree (_dlt_load_id);

CREATE INDEX tracks_versions ON staging.tracks USING btree (key, version_seq) INCLUDE (content_hash, _dlt_load_id);

CREATE INDEX users_load ON staging.users USING btree (_dlt_load_id);

CREATE INDEX users_versions ON staging.users USING btree (key, version_seq) INCLUDE (content_hash, _dlt_load_id);

ALTER INDEX marts.listen_history_pk ATTACH PARTITION prep.listen_history_2025_11_pkey;

ALTER INDEX marts."9267b7b82b24012c6c7d3d08cb85e5ef" ATTACH PARTITION prep.listen_history_2025_11_track_id_idx;

ALTER INDEX marts.listen_history_pk ATTACH PARTITION prep.listen_history_2025_12_pkey;

ALTER INDEX marts."9267b7b82b24012c6c7d3d08cb85e5ef" ATTACH PARTITION prep.listen_history_2025_12_track_id_idx;

ALTER INDEX marts.listen_history_pk ATTACH PARTITION prep.listen_history_2026_01_pkey;

ALTER INDEX marts."9267b7b82b24012c6c7d3d08cb85e5ef" ATTACH PARTITION prep.listen_history_2026_01_track_id_idx;

CREATE TRIGGER decisions_are_final BEFORE DELETE OR UPDATE OR TRUNCATE ON gate.decisions FOR EACH STATEMENT EXECUTE FUNCTION gate.refuse_to_change_decisions();

CREATE TRIGGER decisions_are_signed BEFORE INSERT ON gate.decisions FOR EACH ROW EXECUTE FUNCTION gate.sign_decision();

ALTER TABLE ONLY gate.publications
    ADD CONSTRAINT publications_load_id_table_name_fkey FOREIGN KEY (load_id, table_name) REFERENCES gate.loads(load_id, table_name);

ALTER TABLE ONLY gate.quarantined_rows
    ADD CONSTRAINT quarantined_rows_load_id_table_name_fkey FOREIGN KEY (load_id, table_name) REFERENCES gate.loads(load_id, table_name);

ALTER TABLE marts.listen_history
    ADD CONSTRAINT listen_history_track_id_fk FOREIGN KEY (track_id) REFERENCES marts.tracks(id) ON DELETE CASCADE;

ALTER TABLE marts.listen_history
    ADD CONSTRAINT listen_history_user_id_fk FOREIGN KEY (user_id) REFERENCES marts.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY marts.track_genres
    ADD CONSTRAINT track_genres_track_id_fk FOREIGN KEY (track_id) REFERENCES marts.tracks(id) ON DELETE CASCADE;

ALTER TABLE ONLY ops.run_columns
    ADD CONSTRAINT run_columns_run_id_fkey FOREIGN KEY (run_id) REFERENCES ops.runs(run_id);

ALTER TABLE ONLY ops.run_loads
    ADD CONSTRAINT run_loads_run_id_fkey FOREIGN KEY (run_id) REFERENCES ops.runs(run_id);

ALTER TABLE ONLY ops.run_nodes
    ADD CONSTRAINT run_nodes_run_id_fkey FOREIGN KEY (run_id) REFERENCES ops.runs(run_id);

ALTER TABLE ONLY ops.run_relations
    ADD CONSTRAINT run_relations_run_id_fkey FOREIGN KEY (run_id) REFERENCES ops.runs(run_id);

ALTER TABLE ONLY ops.run_tables
    ADD CONSTRAINT run_tables_run_id_fkey FOREIGN KEY (run_id) REFERENCES ops.runs(run_id);

ALTER TABLE ONLY ops.steps
    ADD CONSTRAINT steps_run_id_fkey FOREIGN KEY (run_id) REFERENCES ops.runs(run_id);

GRANT ALL ON SCHEMA features TO moovitamix_transformer;
GRANT USAGE ON SCHEMA features TO moovitamix_analyst;
GRANT USAGE ON SCHEMA features TO moovitamix_recommender;

GRANT USAGE ON SCHEMA gate TO moovitamix_loader;
GRANT ALL ON SCHEMA gate TO moovitamix_gate;
GRANT USAGE ON SCHEMA gate TO moovitamix_transformer;
GRANT USAGE ON SCHEMA gate TO moovitamix_monitor;

GRANT ALL ON SCHEMA marts TO moovitamix_transformer;
GRANT USAGE ON SCHEMA marts TO moovitamix_analyst;
GRANT USAGE ON SCHEMA marts TO moovitamix_recommender;

GRANT USAGE ON SCHEMA ops TO moovitamix_loader;
GRANT USAGE ON SCHEMA ops TO moovitamix_gate;
GRANT USAGE ON SCHEMA ops TO moovitamix_transformer;
GRANT USAGE ON SCHEMA ops TO moovitamix_monitor;

GRANT USAGE ON SCHEMA prep TO moovitamix_gate;
GRANT ALL ON SCHEMA prep TO moovitamix_transformer;

GRANT ALL ON SCHEMA staging TO moovitamix_loader;
GRANT USAGE ON SCHEMA staging TO moovitamix_gate;
GRANT USAGE ON SCHEMA staging TO moovitamix_transformer;

REVOKE ALL ON FUNCTION gate.refuse_to_change_decisions() FROM PUBLIC;

REVOKE ALL ON FUNCTION gate.sign_decision() FROM PUBLIC;

REVOKE ALL ON FUNCTION prep.normalized_text(value text) FROM PUBLIC;
GRANT ALL ON FUNCTION prep.normalized_text(value text) TO moovitamix_analyst;
GRANT ALL ON FUNCTION prep.normalized_text(value text) TO moovitamix_recommender;

GRANT SELECT ON TABLE marts.listen_history TO moovitamix_analyst;
GRANT SELECT ON TABLE marts.listen_history TO moovitamix_recommender;

GRANT SELECT ON TABLE marts.track_genres TO moovitamix_analyst;
GRANT SELECT ON TABLE marts.track_genres TO moovitamix_recommender;

GRANT SELECT ON TABLE features.user_genre_affinity TO moovitamix_analyst;
GRANT SELECT ON TABLE features.user_genre_affinity TO moovitamix_recommender;

GRANT SELECT(id) ON TABLE marts.users TO moovitamix_analyst;
GRANT SELECT(id) ON TABLE marts.users TO moovitamix_recommender;

GRANT SELECT(gender) ON TABLE marts.users TO moovitamix_analyst;
GRANT SELECT(gender) ON TABLE marts.users TO moovitamix_recommender;

GRANT SELECT(favorite_genres) ON TABLE marts.users TO moovitamix_analyst;
GRANT SELECT(favorite_genres) ON TABLE marts.users TO moovitamix_recommender;

GRANT SELECT(created_at) ON TABLE marts.users TO moovitamix_analyst;
GRANT SELECT(created_at) ON TABLE marts.users TO moovitamix_recommender;

GRANT SELECT(updated_at) ON TABLE marts.users TO moovitamix_analyst;
GRANT SELECT(updated_at) ON TABLE marts.users TO moovitamix_recommender;

GRANT SELECT(deleted_at) ON TABLE marts.users TO moovitamix_analyst;
GRANT SELECT(deleted_at) ON TABLE marts.users TO moovitamix_recommender;

GRANT SELECT(_load_id) ON TABLE marts.users TO moovitamix_analyst;
GRANT SELECT(_load_id) ON TABLE marts.users TO moovitamix_recommender;

GRANT SELECT ON TABLE features.user_profile TO moovitamix_analyst;
GRANT SELECT ON TABLE features.user_profile TO moovitamix_recommender;

GRANT SELECT,INSERT ON TABLE gate.decisions TO moovitamix_gate;
GRANT SELECT ON TABLE gate.decisions TO moovitamix_transformer;

GRANT SELECT ON TABLE gate.erasures TO moovitamix_loader;
GRANT SELECT ON TABLE gate.erasures TO moovitamix_transformer;

GRANT SELECT ON TABLE gate.loads TO moovitamix_loader;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE gate.loads TO moovitamix_gate;
GRANT SELECT ON TABLE gate.loads TO moovitamix_transformer;
GRANT SELECT ON TABLE gate.loads TO moovitamix_monitor;

GRANT SELECT,INSERT ON TABLE gate.publications TO moovitamix_gate;
GRANT SELECT ON TABLE gate.publications TO moovitamix_transformer;
GRANT SELECT ON TABLE gate.publications TO moovitamix_monitor;

GRANT SELECT,INSERT,UPDATE ON TABLE gate.quarantined_rows TO moovitamix_gate;
GRANT SELECT ON TABLE gate.quarantined_rows TO moovitamix_transformer;

GRANT SELECT(load_id) ON TABLE gate.quarantined_rows TO moovitamix_monitor;

GRANT SELECT(table_name) ON TABLE gate.quarantined_rows TO moovitamix_monitor;

GRANT SELECT(dlt_id) ON TABLE gate.quarantined_rows TO moovitamix_monitor;

GRANT SELECT(rule) ON TABLE gate.quarantined_rows TO moovitamix_monitor;

GRANT SELECT(quarantined_at) ON TABLE gate.quarantined_rows TO moovitamix_monitor;

GRANT SELECT(closed_at) ON TABLE gate.quarantined_rows TO moovitamix_monitor;

GRANT SELECT(outcome) ON TABLE gate.quarantined_rows TO moovitamix_monitor;

GRANT SELECT,INSERT ON TABLE gate.told_fields TO moovitamix_gate;
GRANT SELECT ON TABLE gate.told_fields TO moovitamix_transformer;

GRANT SELECT ON TABLE marts.tracks TO moovitamix_analyst;
GRANT SELECT ON TABLE marts.tracks TO moovitamix_recommender;

GRANT SELECT,INSERT,UPDATE ON TABLE ops.runs TO moovitamix_loader;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.runs TO moovitamix_gate;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.runs TO moovitamix_transformer;
GRANT SELECT ON TABLE ops.runs TO moovitamix_monitor;

GRANT SELECT,INSERT,UPDATE ON TABLE ops.current_runs TO moovitamix_loader;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.current_runs TO moovitamix_gate;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.current_runs TO moovitamix_transformer;
GRANT SELECT ON TABLE ops.current_runs TO moovitamix_monitor;

GRANT SELECT,INSERT,UPDATE ON TABLE ops.steps TO moovitamix_loader;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.steps TO moovitamix_gate;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.steps TO moovitamix_transformer;
GRANT SELECT ON TABLE ops.steps TO moovitamix_monitor;

GRANT SELECT,INSERT,UPDATE ON TABLE ops.current_steps TO moovitamix_loader;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.current_steps TO moovitamix_gate;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.current_steps TO moovitamix_transformer;
GRANT SELECT ON TABLE ops.current_steps TO moovitamix_monitor;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ops.owned_relations TO moovitamix_loader;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ops.owned_relations TO moovitamix_gate;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ops.owned_relations TO moovitamix_transformer;
GRANT SELECT ON TABLE ops.owned_relations TO moovitamix_monitor;

GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_columns TO moovitamix_loader;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_columns TO moovitamix_gate;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_columns TO moovitamix_transformer;
GRANT SELECT ON TABLE ops.run_columns TO moovitamix_monitor;

GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_relations TO moovitamix_loader;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_relations TO moovitamix_gate;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_relations TO moovitamix_transformer;
GRANT SELECT ON TABLE ops.run_relations TO moovitamix_monitor;

GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_growth TO moovitamix_loader;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_growth TO moovitamix_gate;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_growth TO moovitamix_transformer;
GRANT SELECT ON TABLE ops.run_growth TO moovitamix_monitor;

GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_loads TO moovitamix_loader;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_loads TO moovitamix_gate;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_loads TO moovitamix_transformer;
GRANT SELECT ON TABLE ops.run_loads TO moovitamix_monitor;

GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_nodes TO moovitamix_loader;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_nodes TO moovitamix_gate;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_nodes TO moovitamix_transformer;
GRANT SELECT ON TABLE ops.run_nodes TO moovitamix_monitor;

GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_rules TO moovitamix_loader;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_rules TO moovitamix_gate;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_rules TO moovitamix_transformer;
GRANT SELECT ON TABLE ops.run_rules TO moovitamix_monitor;

GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_tables TO moovitamix_loader;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_tables TO moovitamix_gate;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.run_tables TO moovitamix_transformer;
GRANT SELECT ON TABLE ops.run_tables TO moovitamix_monitor;

GRANT SELECT ON TABLE staging.users TO moovitamix_gate;
GRANT SELECT ON TABLE staging.users TO moovitamix_transformer;

GRANT SELECT ON TABLE prep.stg_moovitamix__users TO moovitamix_gate;

GRANT SELECT ON TABLE staging.scans TO moovitamix_gate;
GRANT SELECT ON TABLE staging.scans TO moovitamix_transformer;

GRANT SELECT ON TABLE staging.listen_history TO moovitamix_gate;
GRANT SELECT ON TABLE staging.listen_history TO moovitamix_transformer;

GRANT SELECT ON TABLE prep.stg_moovitamix__listen_history TO moovitamix_gate;

GRANT SELECT ON TABLE staging.tracks TO moovitamix_gate;
GRANT SELECT ON TABLE staging.tracks TO moovitamix_transformer;

GRANT SELECT ON TABLE prep.stg_moovitamix__tracks TO moovitamix_gate;

GRANT SELECT ON TABLE staging._dlt_loads TO moovitamix_gate;
GRANT SELECT ON TABLE staging._dlt_loads TO moovitamix_transformer;

GRANT SELECT ON TABLE staging._dlt_pipeline_state TO moovitamix_gate;
GRANT SELECT ON TABLE staging._dlt_pipeline_state TO moovitamix_transformer;

GRANT SELECT ON TABLE staging._dlt_version TO moovitamix_gate;
GRANT SELECT ON TABLE staging._dlt_version TO moovitamix_transformer;

GRANT SELECT ON TABLE staging.unreadable_rows TO moovitamix_gate;
GRANT SELECT ON TABLE staging.unreadable_rows TO moovitamix_transformer;
