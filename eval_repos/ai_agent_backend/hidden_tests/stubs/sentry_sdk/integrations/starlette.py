class StarletteIntegration:
    def __init__(self, **options):
        pass
