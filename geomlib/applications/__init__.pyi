from . import controls, coordinates, directions, factors, geodesics, inversion, riemannian, search

__all__ = ["controls", "coordinates", "directions", "factors", "geodesics", "inversion", "riemannian", "search"]
