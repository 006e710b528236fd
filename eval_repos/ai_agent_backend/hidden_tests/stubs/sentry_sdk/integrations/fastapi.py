class FastApiIntegration:
    def __init__(self, **options):
        pass
