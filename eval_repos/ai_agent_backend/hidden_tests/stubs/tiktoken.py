class Encoding:
    def encode(self, text, **options):
        return text.split()


def encoding_for_model(model):
    return Encoding()


def get_encoding(name):
    return Encoding()
