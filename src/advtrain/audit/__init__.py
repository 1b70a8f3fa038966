"""Is a model robust, or does its evaluation only look so?"""
