"""List the names and words of which texts are made."""

FIRST_NAMES = (
    "Ann", "Peter", "Kelsey", "William", "Cameron", "Wanda", "Zoë", "José", "Mei", "Amara",
    "Łukasz", "Noor", "Björn", "Priya", "Kofi", "Yuki", "Olga", "Thandi", "Seán", "Chloé",
)  # fmt: skip
LAST_NAMES = (
    "Brown", "Harris", "Villegas", "Lin", "O'Brien", "Núñez", "van der Berg", "Okafor", "Washington",
    "Müller", "Sato", "Kowalski", "Singh", "Dubois", "Åberg", "Mensah", "Garcia", "Smith-Jones", "Haddad",
)  # fmt: skip
GENDERS = (
    "Female", "Male", "Non-binary", "Agender", "Bigender",
    "Genderfluid", "Genderqueer", "Gender nonconforming", "Gender questioning",
)  # fmt: skip
MAIL_HOSTS = ("example.com", "example.net", "example.org")
WORDS = (
    "before", "wrong", "strong", "hotel", "ahead", "river", "voice", "midnight", "garden", "ground",
    "tonight", "glass", "winter", "engine", "honey", "mirror", "paper", "signal", "harbour", "echo", "été",
)  # fmt: skip
